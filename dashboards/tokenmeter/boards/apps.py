"""The market's tab "Apps": which applications make the calls."""

from __future__ import annotations

from tokenmeter.boards import metrics as m
from tokenmeter.boards.chart import Where
from tokenmeter.boards.events import MARKET_WEEKS
from tokenmeter.boards.forms import PERCENT_FORMAT, TOKENS_FORMAT, over_time, table
from tokenmeter.boards.ranges import DAYS, WEEKS

NAMED_APPS = (Where("app", "!=", "no app"),)

APPS = (
    table(
        "apps-popular",
        "Popular apps",
        "Apps by tokens of the last seven full UTC days; share of the tokens of all apps that give a name.",
        "recent_apps",
        ("app",),
        (
            (m.rounded("tokens_week", "Tokens"), TOKENS_FORMAT),
            (m.share("tokens_week", "Share"), PERCENT_FORMAT),
            (m.change("tokens_week", "tokens_week_before"), "+.1%"),
        ),
        where=NAMED_APPS,
        having="sum(tokens_week) > 0",
    ),
    table(
        "apps-trending",
        "Trending apps",
        "Tokens of the last seven full UTC days above the mean of the three weeks before; only apps above it.",
        "recent_apps",
        ("app",),
        ((m.TRENDING, TOKENS_FORMAT), (m.rounded("tokens_week", "Tokens"), TOKENS_FORMAT)),
        where=NAMED_APPS,
        having=f"{m.TRENDING_SQL} > 0",
    ),
    over_time(
        "apps-by-day",
        "Tokens per day by app",
        "Input and output tokens per UTC day: the nine largest apps of the range, all others as Others.",
        "app_days",
        (m.TOKENS,),
        "day",
        by="app",
        time=DAYS,
        top=9,
        stack=True,
        where=NAMED_APPS,
    ),
    over_time(
        "app-share",
        "Share of all tokens by app",
        "Each app's share of all tokens of the ISO week, named app or none: the five largest of the range, no others.",
        "app_shares",
        (m.formula("max(share)", "Share"),),
        "week",
        by="app",
        time=WEEKS,
        kind="line",
        top=5,
        number_format=PERCENT_FORMAT,
        fill=("W-MON", "zerofill"),
        where=NAMED_APPS,
        others=False,
        annotations=MARKET_WEEKS.name,
    ),
    over_time(
        "app-share-named",
        "Share of apps that give a name",
        "Each app's share of the tokens of apps that give a name, by ISO week: the five largest of the range.",
        "app_shares",
        (m.formula("max(named_share)", "Share"),),
        "week",
        by="app",
        time=WEEKS,
        kind="line",
        top=5,
        number_format=PERCENT_FORMAT,
        fill=("W-MON", "zerofill"),
        where=NAMED_APPS,
        others=False,
        annotations=MARKET_WEEKS.name,
        width=12,
    ),
)
