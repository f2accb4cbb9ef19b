"""What a chart is: a query on a view, and how Superset draws it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

NAMESPACE = uuid.UUID("6f1c5a52-8a4e-5b0e-9a38-0c6c7b9d1d11")
ROWS_MAX = 10_000


def stable_uuid(kind: str, name: str) -> str:
    """The same object has the same uuid in every Superset."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{name}"))


def total(column: str, label: str) -> dict[str, Any]:
    """The metric SUM(column)."""
    return {
        "expressionType": "SIMPLE",
        "column": {"column_name": column},
        "aggregate": "SUM",
        "label": label,
        "optionName": f"sum_{column}",
    }


def formula(sql: str, label: str) -> dict[str, Any]:
    """A metric in SQL."""
    return {"expressionType": "SQL", "sqlExpression": sql, "label": label, "optionName": label.lower()}


def time_axis(column: str) -> dict[str, Any]:
    """The time axis, labelled "Time": under the column's own name Superset filters the truncated bucket, wrongly."""
    return {"expressionType": "SQL", "sqlExpression": column, "label": "Time", "columnType": "BASE_AXIS"}


@dataclass(frozen=True)
class Chart:
    """``key`` never changes; ``view`` is in database ``boards``. ``time_range`` filters ``time_column``.

    ``columns`` and ``metrics`` are the query; ``options`` is the rest of Superset's form, by its own names.
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
    order_by: tuple[tuple[str, bool], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def uuid(self) -> str:
        return stable_uuid("chart", self.key)

    def form(self, dataset_id: int) -> dict[str, Any]:
        """What Superset stores as the chart's parameters."""
        filters = []
        if self.time_column is not None:
            filters.append(
                {
                    "clause": "WHERE",
                    "expressionType": "SIMPLE",
                    "subject": self.time_column,
                    "operator": "TEMPORAL_RANGE",
                    "comparator": self.time_range,
                }
            )
        return {
            "viz_type": self.viz_type,
            "datasource": f"{dataset_id}__table",
            "adhoc_filters": filters,
            "row_limit": ROWS_MAX,
            **self.options,
        }

    def query(self, dataset_id: int) -> dict[str, Any]:
        """The same question for Superset's chart data API."""
        filters = []
        if self.time_column is not None:
            filters.append({"col": self.time_column, "op": "TEMPORAL_RANGE", "val": self.time_range})
        return {
            "datasource": {"id": dataset_id, "type": "table"},
            "force": True,
            "result_format": "json",
            "result_type": "full",
            "queries": [
                {
                    "columns": list(self.columns),
                    "metrics": list(self.metrics) or None,
                    "filters": filters,
                    "orderby": [list(pair) for pair in self.order_by],
                    "row_limit": ROWS_MAX,
                    "extras": {},
                }
            ],
        }
