"""How charts look: Superset's form options for each kind of picture, so that all boards read alike."""

from __future__ import annotations

from typing import Any

from tokenmeter.boards.chart import Chart
from tokenmeter.boards.metrics import labelled, readable

COLORS = "supersetColors"
TOKENS_FORMAT, COUNT_FORMAT, PERCENT_FORMAT, MONEY_FORMAT = "SMART_NUMBER", ",d", ".1%", ",.2f"
DAY_AXIS, DAY_TOOLTIP = "%d %b %y", "%a %Y-%m-%d UTC"
WEEK_TOOLTIP = "week of %Y-%m-%d UTC"
HOUR_AXIS, HOUR_TOOLTIP = "%d %b %H:%M", "%Y-%m-%d %H:%M UTC"
TILE_WIDTH, TILE_HEIGHT = 3, 17

PAGE_ROWS = 50
"""Rows of a table that a browser lays out at once, of a thousand."""


def axis(column: str) -> dict[str, Any]:
    """The time axis, labelled "Time": under the column's own name Superset filters the truncated bucket, wrongly."""
    return {"expressionType": "SQL", "sqlExpression": column, "label": "Time", "columnType": "BASE_AXIS"}


def named(column: str) -> dict[str, Any]:
    """A column to make series of. Its label must differ from its name: Superset's Others refers to both."""
    return {"expressionType": "SQL", "sqlExpression": column, "label": column.capitalize()}


def tile(
    key: str,
    title: str,
    description: str,
    view: str,
    metric: dict[str, Any],
    number_format: str,
    *,
    time: tuple[str, str] | None = None,
    width: int = TILE_WIDTH,
) -> Chart:
    """One number. ``time`` is (column, range)."""
    return Chart(
        key=key,
        title=title,
        description=description,
        view=view,
        viz_type="big_number_total",
        width=width,
        height=TILE_HEIGHT,
        metrics=(metric,),
        time_column=time[0] if time else None,
        time_range=time[1] if time else "No filter",
        options={"metric": metric, "y_axis_format": number_format, "header_font_size": 0.6, "subheader": ""},
    )


def over_time(
    key: str,
    title: str,
    description: str,
    view: str,
    metrics: tuple[dict[str, Any], ...],
    bucket: str,
    *,
    by: str | None = None,
    time: tuple[str, str] | None = None,
    kind: str = "bar",
    top: int = 0,
    stack: bool = False,
    shares: bool = False,
    number_format: str = TOKENS_FORMAT,
    fill: tuple[str, str] | None = None,
    at_most: float | None = None,
    width: int = 6,
    height: int = 40,
    **more: Any,
) -> Chart:
    """Figures by ``bucket`` (a column of the view: minute, hour, day, week), one series per value of ``by``.

    ``fill`` is (pandas rule, ``zerofill`` or ``asfreq``): what a bucket without rows is, 0 or a gap. Without it a line
    would join its neighbours as if they were next to each other. ``at_most`` bounds the y axis, which then need not
    begin at 0.
    """
    series = (named(by),) if by else ()
    formats = {"week": (DAY_AXIS, WEEK_TOOLTIP), "day": (DAY_AXIS, DAY_TOOLTIP)}.get(bucket, (HOUR_AXIS, HOUR_TOOLTIP))
    return Chart(
        key=key,
        title=title,
        description=description,
        view=view,
        viz_type={"bar": "echarts_timeseries_bar", "area": "echarts_area", "line": "echarts_timeseries_line"}[kind],
        width=width,
        height=height,
        metrics=metrics,
        columns=(axis(bucket), *series),
        series=series,
        top=top,
        time_column=time[0] if time else None,
        time_range=time[1] if time else "No filter",
        options={
            "x_axis": axis(bucket),
            "metrics": list(metrics),
            "groupby": list(series),
            "time_grain_sqla": None,
            "order_desc": True,
            "sort_series_type": "sum",
            "sort_series_ascending": False,
            "orientation": "vertical",
            "seriesType": "line",
            "stack": "Stack" if stack or shares else None,
            "opacity": 0.75,
            "contributionMode": "row" if shares else None,
            "y_axis_format": ".0%" if shares else number_format,
            "x_axis_time_format": formats[0],
            "tooltipTimeFormat": formats[1],
            "show_legend": True,
            "legendType": "scroll",
            "legendOrientation": "top",
            "rich_tooltip": True,
            "showTooltipTotal": stack and not shares,
            "tooltipSortByMetric": True,
            "color_scheme": COLORS,
            "truncateYAxis": at_most is not None,
            "y_axis_bounds": [0, 1] if shares else [None, at_most],
            "markerEnabled": kind == "line" and not (fill and fill[1] == "zerofill"),
            "markerSize": 3,
            **({"resample_rule": fill[0], "resample_method": fill[1]} if fill else {}),
        },
        **more,
    )


def table(
    key: str,
    title: str,
    description: str,
    view: str,
    groups: tuple[str, ...],
    metrics: tuple[tuple[dict[str, Any], str], ...],
    *,
    time: tuple[str, str] | None = None,
    rows: int = 500,
    width: int = 6,
    height: int = 50,
    bars: bool = True,
    ascending: bool = False,
    **more: Any,
) -> Chart:
    """Figures by ``groups``, most of the first metric first (``ascending``: least), ties alphabetical. A metric comes
    with its format. Tokens are shown as text, with a hidden column of the exact number for a CSV and the API."""
    exact = {n: labelled(metric, "exact") for n, (metric, text) in enumerate(metrics) if text == TOKENS_FORMAT}
    shown = [readable(metric) if n in exact else metric for n, (metric, _) in enumerate(metrics)]
    figures, first = (*shown, *exact.values()), exact.get(0, metrics[0][0])
    formats: dict[str, dict[str, Any]] = {
        metric["label"]: {"d3NumberFormat": text, "d3SmallNumberFormat": text, "horizontalAlign": "right"}
        for metric, text in metrics
    }
    formats |= {metric["label"]: {"visible": False, "showCellBars": False} for metric in exact.values()}
    return Chart(
        key=key,
        title=title,
        description=description,
        view=view,
        viz_type="table",
        width=width,
        height=height,
        metrics=figures,
        columns=groups,
        time_column=time[0] if time else None,
        time_range=time[1] if time else "No filter",
        order_by=((first, ascending), *((group, True) for group in groups)),
        row_limit=rows,
        options={
            "query_mode": "aggregate",
            "groupby": list(groups),
            "metrics": list(figures),
            "timeseries_limit_metric": first,
            "order_desc": not ascending,
            "server_pagination": False,
            "page_length": PAGE_ROWS,
            "show_cell_bars": bars,
            "color_pn": False,
            "table_timestamp_format": "%Y-%m-%d %H:%M UTC",
            "column_config": formats,
        },
        **more,
    )


def rows(
    key: str,
    title: str,
    description: str,
    view: str,
    columns: tuple[tuple[str, str | None], ...],
    order: tuple[str, bool],
    *,
    width: int = 12,
    height: int = 32,
    row_limit: int = 60,
    **more: Any,
) -> Chart:
    """A view's rows as they are. A column comes with its number format, ``order`` with whether it ascends."""
    names = [name for name, _ in columns]
    return Chart(
        key=key,
        title=title,
        description=description,
        view=view,
        viz_type="table",
        width=width,
        height=height,
        columns=tuple(names),
        order_by=(order,),
        row_limit=row_limit,
        options={
            "query_mode": "raw",
            "all_columns": names,
            "order_by_cols": [f'["{order[0]}", {str(order[1]).lower()}]'],
            "server_pagination": False,
            "page_length": PAGE_ROWS,
            "show_cell_bars": False,
            "table_timestamp_format": "%Y-%m-%d %H:%M UTC",
            "column_config": {name: {"d3NumberFormat": text} for name, text in columns if text},
        },
        **more,
    )


def bubbles(
    key: str,
    title: str,
    description: str,
    view: str,
    entity: str,
    series: str,
    x: tuple[dict[str, Any], str],
    y: tuple[dict[str, Any], str],
    size: dict[str, Any],
    *,
    log: bool,
    time: tuple[str, str],
    width: int = 6,
    height: int = 50,
    **more: Any,
) -> Chart:
    """One bubble per ``entity``, coloured by ``series``; x and y come with their formats."""
    return Chart(
        key=key,
        title=title,
        description=description,
        view=view,
        viz_type="bubble_v2",
        width=width,
        height=height,
        metrics=(x[0], y[0], size),
        columns=(entity, series),
        time_column=time[0],
        time_range=time[1],
        order_by=((size, False),),
        row_limit=200,
        options={
            "entity": entity,
            "series": series,
            "x": x[0],
            "y": y[0],
            "size": size,
            "orderby": [size],
            "order_desc": True,
            "x_axis_label": x[0]["label"],
            "y_axis_label": y[0]["label"],
            "x_axis_title_margin": 30,
            "y_axis_title_margin": 50,
            "xAxisFormat": x[1],
            "y_axis_format": y[1],
            "tooltipSizeFormat": TOKENS_FORMAT,
            "logXAxis": log,
            "logYAxis": log,
            "max_bubble_size": "25",
            "opacity": 0.7,
            "color_scheme": COLORS,
            "show_legend": True,
            "legendType": "scroll",
            "legendOrientation": "top",
        },
        **more,
    )
