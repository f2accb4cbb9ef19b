"""What a chart is: a query on a view, and how Superset draws it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

NAMESPACE = uuid.UUID("6f1c5a52-8a4e-5b0e-9a38-0c6c7b9d1d11")
ROWS_MAX = 10_000
OURS = "tokenmeter_chart"
"""Marks a form as published from here: its value is the chart's key. With the uuid made of that key it tells our charts
from a user's copies, which keep the form and get a uuid of their own."""


def stable_uuid(kind: str, name: str) -> str:
    """The same object has the same uuid in every Superset."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{name}"))


@dataclass(frozen=True)
class Where:
    """A condition on single rows: ``column operator value`` in Superset's words (``!=``, ``IN`` …)."""

    column: str
    operator: str
    value: Any

    def form(self) -> dict[str, Any]:
        return {
            "clause": "WHERE",
            "expressionType": "SIMPLE",
            "subject": self.column,
            "operator": self.operator,
            "comparator": self.value,
        }

    def query(self) -> dict[str, Any]:
        return {"col": self.column, "op": self.operator, "val": self.value}


@dataclass(frozen=True)
class Chart:
    """``key`` never changes; ``view`` is in database ``boards``. ``time_range`` filters ``time_column``.

    ``columns`` and ``metrics`` are the query; ``options`` is the rest of Superset's form, by its own names. Without a
    ``time_column`` the board's time filter leaves the chart alone: its view has a window of its own.
    ``top`` keeps that many values of ``series`` by ``rank_by`` (else by the first metric), within the filters, and
    makes Others of the rest, or without ``others`` leaves them out.
    ``having`` is a condition on groups, in SQL. ``annotations`` names a layer of events drawn over the chart.
    Width is in the grid's twelve columns, height in its units of 8 pixels.
    """

    key: str
    title: str
    description: str
    view: str
    viz_type: str
    width: int
    height: int
    metrics: tuple[dict[str, Any], ...] = ()
    columns: tuple[Any, ...] = ()
    time_column: str | None = None
    time_range: str = "No filter"
    where: tuple[Where, ...] = ()
    where_sql: str | None = None
    having: str | None = None
    series: tuple[Any, ...] = ()
    top: int = 0
    others: bool = True
    rank_by: dict[str, Any] | None = None
    order_by: tuple[tuple[Any, bool], ...] = ()
    row_limit: int = ROWS_MAX
    annotations: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def uuid(self) -> str:
        return stable_uuid("chart", self.key)

    def form(self, dataset_id: int, layers: dict[str, int] | None = None) -> dict[str, Any]:
        """What Superset stores as the chart's parameters; ``layers`` maps an annotation layer's name to its id."""
        time = Where(self.time_column or "", "TEMPORAL_RANGE", self.time_range).form()
        filters = [time] if self.time_column else []
        filters += [one.form() for one in self.where]
        filters += [
            _sql_filter(clause, sql) for clause, sql in (("WHERE", self.where_sql), ("HAVING", self.having)) if sql
        ]
        limits: dict[str, Any] = {
            "limit": self.top,
            "series_limit": self.top,
            "group_others_when_limit_reached": self.others,
        }
        limits |= {"timeseries_limit_metric": self.rank_by} if self.rank_by else {}
        return {
            "viz_type": self.viz_type,
            "datasource": f"{dataset_id}__table",
            "adhoc_filters": filters,
            "row_limit": self.row_limit,
            "annotation_layers": [_layer(self.annotations, (layers or {})[self.annotations])]
            if self.annotations
            else [],
            **(limits if self.top else {}),
            **self.options,
            OURS: self.key,
        }

    def query(self, dataset_id: int, time_range: str | None = None) -> dict[str, Any]:
        """The same question for Superset's chart data API; of another ``time_range`` where the chart has one."""
        asked_range = time_range or self.time_range
        filters = [{"col": self.time_column, "op": "TEMPORAL_RANGE", "val": asked_range}] if self.time_column else []
        extras = {"where": self.where_sql, "having": self.having}
        asked: dict[str, Any] = {
            "columns": list(self.columns),
            "metrics": list(self.metrics) or None,
            "filters": [*filters, *(one.query() for one in self.where)],
            "orderby": [list(pair) for pair in self.order_by],
            "row_limit": self.row_limit,
            "extras": {name: f"({sql})" for name, sql in extras.items() if sql},
        }
        if self.top:
            asked |= {"series_columns": list(self.series), "series_limit": self.top, "order_desc": True}
            asked |= {"group_others_when_limit_reached": self.others}
            asked |= {"series_limit_metric": self.rank_by} if self.rank_by else {}
        return {
            "datasource": {"id": dataset_id, "type": "table"},
            "force": True,
            "result_format": "json",
            "result_type": "full",
            "queries": [asked],
        }

    def body(self, dataset_id: int, layers: dict[str, int]) -> dict[str, Any]:
        """The chart as Superset's REST API takes it."""
        return {
            "slice_name": self.title,
            "description": self.description,
            "viz_type": self.viz_type,
            "datasource_id": dataset_id,
            "datasource_type": "table",
            "params": json.dumps(self.form(dataset_id, layers)),
            "query_context": json.dumps({**self.query(dataset_id), "force": False}),
        }


def _sql_filter(clause: str, sql: str) -> dict[str, Any]:
    return {"clause": clause, "expressionType": "SQL", "sqlExpression": sql}


def _layer(name: str, layer_id: int) -> dict[str, Any]:
    return {
        "name": name,
        "annotationType": "INTERVAL",
        "sourceType": "NATIVE",
        "value": layer_id,
        "style": "solid",
        "color": "#B5651D",
        "opacity": "opacityLow",
        "width": 1,
        "show": True,
        "showLabel": False,
        "showMarkers": False,
        "hideLine": False,
        "overrides": {"time_range": None},
    }
