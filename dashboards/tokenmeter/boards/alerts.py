"""The board "Alerts": what is open now, and how much was told each day: credit and anomalies."""

from __future__ import annotations

from tokenmeter.boards import metrics as m
from tokenmeter.boards.board import Board, Filter, Tab
from tokenmeter.boards.forms import COUNT_FORMAT, over_time, rows, table, tile
from tokenmeter.boards.ranges import DAYS

_ALERTS = m.total("alerts", "Alerts")
_BAND = tuple(
    m.formula(f"max({column})", label)
    for column, label in (("seen", "Seen"), ("low", "Low"), ("expected", "Expected"), ("high", "Spike above"))
)

ALERTS = Board(
    slug="tokenmeter-alerts",
    title="Alerts",
    tabs=(
        Tab(
            "Alerts",
            (
                tile("alerts-open", "Open alerts", "Told and not over.", "alerts_open", _ALERTS, COUNT_FORMAT, width=4),
                over_time(
                    "alerts-by-day",
                    "Alerts per day",
                    "Alerts by the UTC day of their cause, a colour for each kind; what is over is not told again.",
                    "alerts_daily",
                    (_ALERTS,),
                    "day",
                    by="kind",
                    time=DAYS,
                    stack=True,
                    number_format=COUNT_FORMAT,
                    width=8,
                ),
                over_time(
                    "alert-band",
                    "An anomaly beside its subject's habit",
                    "Each minute of the newest open anomaly's subject, or of the one chosen above, and the band that "
                    "the watch expected when it told. Shares are of one call or unit of money.",
                    "alert_band",
                    _BAND,
                    "minute",
                    time=("minute", "No filter"),
                    kind="line",
                    fill=("1min", "asfreq"),
                    width=12,
                ),
                table(
                    "alerts-by-kind",
                    "Alerts by kind",
                    "Of whom and how loud.",
                    "alerts_daily",
                    ("kind", "subject", "severity"),
                    ((_ALERTS, COUNT_FORMAT),),
                    time=DAYS,
                    width=12,
                    height=32,
                ),
                rows(
                    "alerts-open-list",
                    "What is open",
                    "The latest first; tokenmeter alerts explain ALERT shows an anomaly's day.",
                    "alerts_open",
                    (
                        *(("told", None), ("severity", None), ("kind", None), ("subject", None)),
                        *(("sentence", None), ("alert", None)),
                    ),
                    ("told", False),
                    height=50,
                ),
            ),
        ),
    ),
    filters=(Filter("Kind", "alerts_daily", "kind"), Filter("Anomaly", "anomalies", "anomaly")),
)
