"""Which views hold the same figures by more columns, and how a dataset picks the smallest that a question needs.

A chart of all models reads a row a day and model; when somebody chooses an app or a provider, Superset asks a larger
view for that chart alone. The choice is a Jinja template in the dataset's SQL (0001-filters-pick-the-view.md). No
template writes what somebody chose into SQL, except that of app_shares, through Superset's own quoting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SCHEMA = "boards"
_FACTS = frozenset(("model", "author", "origin", "weights"))
Types = dict[str, str]
"""Types by column, in capitals as Superset keeps them."""
TEXT = "NULLABLE(STRING)"


@dataclass(frozen=True)
class Grain:
    """A view of a dataset, and which of the dataset's optional columns it has."""

    view: str
    columns: frozenset[str] = frozenset()


def _grain(view: str, *columns: str) -> Grain:
    return Grain(view, frozenset(columns))


DATASETS: Mapping[str, tuple[Grain, ...]] = {
    "models": (
        _grain("models", "variant"),
        _grain("models_by_provider", "variant", "provider"),
        _grain("models_by_app", "app"),
        _grain("models_by_app_and_provider", "variant", "provider", "app"),
    ),
    "money": (
        _grain("money", "variant"),
        _grain("money_by_provider", "variant", "provider"),
        _grain("money_by_app", "app"),
        _grain("money_by_app_and_provider", "variant", "provider", "app"),
    ),
    "recent_models": (_grain("recent_models"), _grain("recent_models_by_app", "app")),
    "recent_apps": (_grain("recent_apps"), _grain("recent_apps_by_provider", "provider")),
    "app_days": (
        _grain("app_days"),
        _grain("apps", *_FACTS),
        _grain("models_by_app_and_provider", *_FACTS, "provider"),
    ),
    "contexts": (_grain("contexts"), _grain("contexts_by_app_and_provider", "provider", "app")),
    "hours": (_grain("hours"), _grain("hours_by_app", "app")),
    "calls_by_minute": (_grain("calls_by_minute"), _grain("calls_by_minute_by_app", "app")),
    "calls_by_hour": (_grain("calls_by_hour"), _grain("calls_by_hour_by_app", "app")),
    # The newest alert, or a chosen one.
    "alert_band": (_grain("alert_band"), _grain("alert_bands", "anomaly")),
}
"""By dataset: its views, the smallest first; the last has every optional column. All others are a view as it is."""

SHARES = "app_shares"
SHARES_FILTERS = ("model", "author", "provider")
"""Shares are of all tokens of what is chosen by these, so they filter before the shares are made."""

_ASKED = """\
{%- set asked = [] -%}
{%- for one in filter or [] -%}{%- set _ = asked.append(one.col) -%}{%- endfor -%}
{%- for one in (columns or []) + (groupby or []) -%}
{%- set _ = asked.append(one if one is string else one.sqlExpression) -%}{%- endfor -%}
"""


def optional(dataset: str) -> frozenset[str]:
    """Columns of a dataset that its smallest view may lack."""
    if dataset == SHARES:
        return frozenset(SHARES_FILTERS)
    return frozenset[str]().union(*(grain.columns for grain in DATASETS.get(dataset, ())))


def views(dataset: str) -> frozenset[str]:
    """Every view a dataset may read."""
    return frozenset(grain.view for grain in DATASETS.get(dataset, ())) | {dataset}


def columns(dataset: str, there: Mapping[str, Types]) -> Types:
    """The dataset's columns; ``there`` are those of each view."""
    return {**dict.fromkeys(sorted(optional(dataset)), TEXT), **there[dataset]}


def sql(dataset: str, there: Mapping[str, Types]) -> str | None:
    """The dataset's template; none for a view as it is. Without a question it names its columns and reads nothing."""
    more = sorted(optional(dataset) - set(there[dataset]))
    if not more and dataset not in DATASETS:
        return None
    named = ", ".join(["*", *(f"CAST(NULL AS Nullable(String)) AS {name}" for name in more)])
    empty = f"SELECT {named} FROM {SCHEMA}.{dataset} WHERE 0"
    asked = _shares() if dataset == SHARES else f"SELECT * FROM {SCHEMA}.{_pick(dataset)}"
    return f"{_ASKED}{{% if columns is not defined %}}{empty}{{% else %}}{asked}{{% endif %}}"


def _pick(dataset: str) -> str:
    """The name of the first view that lacks nothing that is asked."""
    made, *rest = DATASETS[dataset]
    branches = []
    for grain in (made, *rest):
        lacks = sorted(optional(dataset) - grain.columns)
        branches.append((grain.view, " and ".join(f"'{name}' not in asked" for name in lacks)))
    words = ["{% if " + branches[0][1] + " %}" + branches[0][0]]
    words += ["{% elif " + condition + " %}" + view for view, condition in branches[1:-1]]
    return "".join(words) + "{% else %}" + branches[-1][0] + "{% endif %}"


def _shares() -> str:
    """As boards.app_shares, of what is chosen; the same view when nothing is."""
    chosen = "".join(
        f"{{% for one in get_filters('{name}', remove_filter=True) if one.op == 'IN' %}} "
        f"AND {name} IN {{{{ one.val | where_in }}}}{{% endfor %}}"
        for name in SHARES_FILTERS
    )
    named = "if(app = 'no app', 0, sum(a.tokens))"
    made = (
        "SELECT week, app, toInt64(sum(a.tokens)) AS tokens, "
        "sum(a.tokens) / greatest(sum(sum(a.tokens)) OVER (PARTITION BY week), 1) AS share, "
        f"if(app = 'no app', NULL, sum(a.tokens) / greatest(sum({named}) OVER (PARTITION BY week), 1)) AS named_share "
        f"FROM {SCHEMA}.{{% if 'provider' in asked %}}models_by_app_and_provider{{% else %}}apps{{% endif %}} AS a "
        f"WHERE 1{chosen} GROUP BY week, app"
    )
    any_asked = " or ".join(f"'{name}' in asked" for name in SHARES_FILTERS)
    return f"{{% if {any_asked} %}}{made}{{% else %}}SELECT * FROM {SCHEMA}.{SHARES}{{% endif %}}"
