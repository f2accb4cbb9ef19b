"""What was published about the token market in 2026, as figures a simulated market is held against.

Transcribed from the article by hand, apart from the files that the simulation is made of. Weeks are named by their
Monday, tokens are in trillions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from clickhouse_connect.driver.client import Client

TRILLION = 10**12
BY_ORIGIN = {("2026-02-09", "China"): "41.2", ("2026-02-09", "US"): "29.4", ("2026-02-16", "China"): "51.6"}
OPENCLAW = {"2026-02-02": ("0.81", "8.31"), "2026-03-16": ("4.97", "24.36")}
"""Tokens, and percent of the tokens of apps that give a name."""
TOP_FIVE_WEEK = "2026-02-16"
TOP_FIVE_CHINESE = {"minimax/minimax-m2.5", "moonshotai/kimi-k2.5", "z-ai/glm-5", "deepseek/deepseek-v3.2"}
TOP_FIVE_SHARE = "85.7"
HY3_WEEK, HY3 = "2026-05-04", "tencent/hy3-preview:free"
CHINESE_AMONG = {5: 2, 10: 6, 20: 9}
WEEKS_OF_2025 = (50, 70)
APRIL_2026 = 200
"""Over that, each week."""
PRICES = {  # USD per million tokens, in and out
    "minimax/minimax-m2.5": ("0.30", "1.10"),
    "z-ai/glm-5": ("0.30", "2.55"),
    "anthropic/claude-opus-4.6": ("5", "25"),
}
MARKUP = Decimal("0.055")

_WEEK = "toDateTime('{}', 'UTC')"
_RANKED = "if(variant = 'standard', model, concat(model, ':', variant))"


@dataclass(frozen=True)
class Ranked:
    """A model (variant) of a week, the one with most tokens first."""

    name: str
    origin: str
    tokens: int


def ranking(client: Client, week: str) -> list[Ranked]:
    """As the boards count: variants on their own, ties alphabetical."""
    rows = client.query(
        f"SELECT {_RANKED} AS name, any(origin), sum(tokens) AS used FROM boards.models "
        f"WHERE week = {_WEEK.format(week)} GROUP BY name ORDER BY used DESC, name"
    ).result_rows
    return [Ranked(str(name), str(origin), int(used)) for name, origin, used in rows]


def differences(client: Client) -> list[str]:
    """Which published figure of a week the boards' views do not give."""
    checks: Mapping[str, Callable[[Client], list[str]]] = {
        "origins": _origins,
        "OpenClaw": _openclaw,
        "top five": _top_five,
        "Hy3": _hy3,
        "April": _april,
    }
    return [f"{name}: {found}" for name, check in checks.items() for found in check(client)]


def _origins(client: Client) -> list[str]:
    sql = "SELECT toString(toDate(week)), origin, sum(tokens) FROM boards.models GROUP BY 1, 2"
    found = {(week, origin): int(used) for week, origin, used in client.query(sql).result_rows}
    return [f"{k}: {found.get(k)} for {t} T" for k, t in BY_ORIGIN.items() if found.get(k) != Decimal(t) * TRILLION]


def _openclaw(client: Client) -> list[str]:
    sql = "SELECT toString(toDate(week)), tokens, named_share FROM boards.app_shares WHERE app = 'openclaw'"
    found = {week: (int(used), round(100 * share, 2)) for week, used, share in client.query(sql).result_rows}
    wanted = {week: (int(Decimal(used) * TRILLION), float(share)) for week, (used, share) in OPENCLAW.items()}
    return [
        f"{week}: {found.get(week)} for {figures}" for week, figures in wanted.items() if found.get(week) != figures
    ]


def _top_five(client: Client) -> list[str]:
    first = ranking(client, TOP_FIVE_WEEK)[:5]
    chinese = [one for one in first if one.origin == "China"]
    wrong = [] if {one.name for one in chinese} == TOP_FIVE_CHINESE else [f"{[one.name for one in chinese]}"]
    share = Decimal(sum(one.tokens for one in chinese)) / sum(one.tokens for one in first)
    return wrong + ([] if share == Decimal(TOP_FIVE_SHARE) / 100 else [f"{share} for {TOP_FIVE_SHARE} %"])


def _hy3(client: Client) -> list[str]:
    order = ranking(client, HY3_WEEK)
    counts = {size: sum(one.origin == "China" for one in order[:size]) for size in CHINESE_AMONG}
    return [f"{order[0].name} is first"] * (order[0].name != HY3) + [f"Chinese: {counts}"] * (counts != CHINESE_AMONG)


def _april(client: Client) -> list[str]:
    sql = (
        "SELECT toString(toDate(week)), sum(tokens) FROM boards.models "
        "WHERE week BETWEEN toDateTime('2026-04-06', 'UTC') AND toDateTime('2026-04-20', 'UTC') GROUP BY week"
    )
    found = client.query(sql).result_rows
    wrong = [f"{week}: {used}" for week, used in found if used <= APRIL_2026 * TRILLION]
    return wrong + ([] if len(found) == 3 else [f"{len(found)} weeks"])
