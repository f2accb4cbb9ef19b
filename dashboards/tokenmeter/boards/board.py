"""What a board is: charts in tabs, the filters above them, and who may see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tokenmeter.boards.chart import Chart, stable_uuid


@dataclass(frozen=True)
class Tab:
    """Charts under one heading, placed from left to right in rows of twelve columns."""

    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Filter:
    """A list of a column's values to choose from. ``view`` is where the values are read; the filter reaches every chart
    of the board whose view has the column."""

    name: str
    view: str
    column: str


@dataclass(frozen=True)
class TimeFilter:
    """A choice of time range, ``default`` at first; it reaches every chart that has a time column."""

    name: str
    default: str


@dataclass(frozen=True)
class Annotation:
    """A span of UTC days [start, end] worth knowing when one looks at a chart."""

    title: str
    detail: str
    start: str
    end: str


@dataclass(frozen=True)
class Layer:
    """Annotations that charts can draw, by the layer's name."""

    name: str
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True)
class Board:
    """``slug`` never changes and is its address. ``note`` is a line of Markdown above the tabs. ``roles`` are names of
    Superset's roles: with its flag DASHBOARD_RBAC they alone see the board; none leaves that to the datasets."""

    slug: str
    title: str
    tabs: tuple[Tab, ...]
    filters: tuple[Filter | TimeFilter, ...] = ()
    layers: tuple[Layer, ...] = ()
    roles: tuple[str, ...] = ()
    refresh_s: int = 60
    note: str | None = None

    @property
    def uuid(self) -> str:
        return stable_uuid("dashboard", self.slug)

    @property
    def charts(self) -> tuple[Chart, ...]:
        return tuple(self._charts())

    @property
    def views(self) -> frozenset[str]:
        """What its charts and filters read."""
        filters = [one.view for one in self.filters if isinstance(one, Filter)]
        return frozenset([chart.view for chart in self.charts] + filters)

    def _charts(self) -> Iterator[Chart]:
        for tab in self.tabs:
            yield from tab.charts

    def body(self) -> dict[str, Any]:
        """What Superset's REST API takes to create it."""
        return {"dashboard_title": self.title, "slug": self.slug, "published": True}
