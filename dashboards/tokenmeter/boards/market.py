"""The board "Market": who uses which model, how much, and how well it goes.

Tokens are prompt plus completion, days are UTC. What a chart counts is said in its description.
"""

from __future__ import annotations

from typing import Any

from tokenmeter.boards.chart import Chart, formula, time_axis, total

SLUG = "tokenmeter-market"
TITLE = "Market"
REFRESH_S = 10
MONTH = 'DATEADD(DATETIME("now"), -30, day) : now'
QUARTER = 'DATEADD(DATETIME("now"), -90, day) : now'
COLORS = "supersetColors"

TILE_WIDTH, TILE_HEIGHT = 3, 16


def _tile(key: str, title: str, description: str, metric: dict[str, Any], number_format: str) -> Chart:
    return Chart(
        key=key,
        title=title,
        description=description,
        view="market",
        viz_type="big_number_total",
        width=TILE_WIDTH,
        height=TILE_HEIGHT,
        metrics=(metric,),
        time_column="hour",
        time_range=MONTH,
        options={"metric": metric, "y_axis_format": number_format, "header_font_size": 0.5},
    )


def _bars(share: bool, x_format: str) -> dict[str, Any]:
    return {
        "time_grain_sqla": None,
        "groupby": ["series"],
        "order_desc": True,
        "sort_series_type": "sum",
        "sort_series_ascending": False,
        "orientation": "vertical",
        "stack": "Stack",
        "contributionMode": "row" if share else None,
        "y_axis_format": ".0%" if share else "SMART_NUMBER",
        "x_axis_time_format": x_format,
        "tooltipTimeFormat": "%Y-%m-%d",
        "show_legend": True,
        "legendType": "scroll",
        "legendOrientation": "top",
        "rich_tooltip": True,
        "color_scheme": COLORS,
        "truncateYAxis": False,
    }


_TOKENS = total("tokens", "Tokens")

_RECONCILE = (
    "finished",
    "mode",
    "pages",
    "wrong_lines",
    "wrong_calls",
    "wrong_tokens",
    "corrections",
    "outstanding_lines",
)

CHARTS: tuple[Chart, ...] = (
    _tile("tokens", "Tokens, 30 days", "Prompt and completion tokens of the last 30 days.", _TOKENS, "SMART_NUMBER"),
    _tile(
        "calls",
        "Calls, 30 days",
        "Model calls of the last 30 days, every attempt.",
        total("calls", "Calls"),
        "SMART_NUMBER",
    ),
    _tile(
        "error-rate",
        "Error rate, 30 days",
        "Calls of the last 30 days that ended with status 400 or above or an error class.",
        formula("sum(errors) / greatest(sum(calls), 1)", "Error rate"),
        ".2%",
    ),
    _tile(
        "models", "Models, 30 days", "Models called in the last 30 days.", formula("uniqExact(model)", "Models"), ",d"
    ),
    Chart(
        key="tokens-by-day",
        title="Tokens per day by model",
        description="Prompt and completion tokens per UTC day: the nine largest models, all others as Others.",
        view="tokens_by_day",
        viz_type="echarts_timeseries_bar",
        width=8,
        height=48,
        metrics=(_TOKENS,),
        columns=(time_axis("day"), "series"),
        time_column="day",
        time_range=QUARTER,
        options={"x_axis": time_axis("day"), "metrics": [_TOKENS], **_bars(False, "%d %b")},
    ),
    Chart(
        key="author-share",
        title="Share of tokens by author",
        description="Share of each ISO week's tokens by model author: the nine largest, all others as Others.",
        view="author_share",
        viz_type="echarts_timeseries_bar",
        width=4,
        height=48,
        metrics=(_TOKENS,),
        columns=(time_axis("week"), "series"),
        time_column="week",
        time_range=QUARTER,
        options={"x_axis": time_axis("week"), "metrics": [_TOKENS], **_bars(True, "%d %b")},
    ),
    Chart(
        key="calls-by-minute",
        title="Calls and errors per minute",
        description="Calls, and calls with status 400 or above or an error class, by minute; two days.",
        view="calls_by_minute",
        viz_type="echarts_timeseries_line",
        width=12,
        height=32,
        metrics=(total("calls", "Calls"), total("errors", "Errors")),
        columns=(time_axis("minute"),),
        options={
            "x_axis": time_axis("minute"),
            "metrics": [total("calls", "Calls"), total("errors", "Errors")],
            "groupby": [],
            "time_grain_sqla": None,
            "seriesType": "line",
            "show_legend": True,
            "rich_tooltip": True,
            "y_axis_format": "SMART_NUMBER",
            "x_axis_time_format": "%d %b %H:%M",
            "tooltipTimeFormat": "%Y-%m-%d %H:%M",
            "color_scheme": COLORS,
        },
    ),
    Chart(
        key="leaderboard",
        title="Leaderboard",
        description="The 50 models with most tokens in the last 30 days; share is of all tokens, ties alphabetical.",
        view="leaderboard",
        viz_type="table",
        width=12,
        height=56,
        columns=("rank", "model", "author", "tokens", "share", "calls", "errors", "error_rate"),
        order_by=(("rank", True),),
        options={
            "query_mode": "raw",
            "all_columns": ["rank", "model", "author", "tokens", "share", "calls", "errors", "error_rate"],
            "order_by_cols": ['["rank", true]'],
            "server_pagination": False,
            "page_length": 0,
            "table_timestamp_format": "smart_date",
            "show_cell_bars": True,
            "column_config": {
                "rank": {"d3NumberFormat": ",d", "columnWidth": 60, "showCellBars": False},
                "tokens": {"d3NumberFormat": "SMART_NUMBER"},
                "share": {"d3NumberFormat": ".1%"},
                "calls": {"d3NumberFormat": ",d"},
                "errors": {"d3NumberFormat": ",d"},
                "error_rate": {"d3NumberFormat": ".2%", "showCellBars": False},
            },
        },
    ),
    Chart(
        key="reconcile",
        title="Reconciliation",
        description="The last 20 runs of tokenmeter reconcile: billing lines minus raw events, each counted once.",
        view="reconcile",
        viz_type="table",
        width=12,
        height=32,
        columns=_RECONCILE,
        order_by=(("finished", False),),
        options={
            "query_mode": "raw",
            "all_columns": list(_RECONCILE),
            "order_by_cols": ['["finished", false]'],
            "server_pagination": False,
            "page_length": 0,
            "table_timestamp_format": "%Y-%m-%d %H:%M",
            "show_cell_bars": False,
            "column_config": {name: {"d3NumberFormat": ",d"} for name in _RECONCILE[2:]},
        },
    ),
)
