"""How an upstream's CSV is read: which column says what. A TOML file; what is not in it is refused.

    provider = ["openai"]                 # whose lines of ours are compared; --provider overrides
    delimiter = ","
    skip_when_empty = ["amount"]          # a row in which all of these are empty says nothing

    [time]                                # when, or which day
    column = "date"
    format = "iso"                        # iso, unix, unix_ms, or a format of strptime
    zone = "UTC"                          # of times without one; of days: the zone whose days they are

    [model]
    column = "model"
    aliases = { "gpt-5 (batch)" = "openai/gpt-5" }
    patterns = [{ match = '^([^,]+),.*$', replace = 'openai/\\1' }]   # in order, then the aliases

    [tokens]                              # both or none
    input = "prompt_tokens"               # with cached tokens, as ours
    output = "completion_tokens"

    [cost]                                # none: tokens alone are compared
    column = "cost"
    currency = "USD"                      # or currency_column
    unit = "1"                            # what 1 in the column is in the currency: "0.01" for cents

``extends = "openai_costs"`` takes everything that is not said from that built-in layout: enough to add aliases.
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tokenmeter.events.catalog_row import Currency
from tokenmeter.events.errors import Misconfigured
from tokenmeter.ops.supplier.figures import decimal_of

BUILT_IN: dict[str, tuple[str, ...]] = {
    "openrouter": ("openrouter_generations", "openrouter_activity"),
    "openai": ("openai_costs", "openai_usage"),
}
"""Of each format the layouts it comes in; the first whose columns a file has is used."""

Column = Annotated[str, Field(min_length=1)]
Unit = Annotated[Decimal, BeforeValidator(lambda text: decimal_of(str(text))), Field(gt=0)]


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}") from error


def _pattern(text: Any) -> re.Pattern[str]:
    try:
        return re.compile(str(text))
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class TimeColumn(_Table):
    column: Column
    format: str = "iso"
    zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = ZoneInfo("UTC")


class Pattern(_Table):
    match: Annotated[re.Pattern[str], BeforeValidator(_pattern)]
    replace: str


class ModelColumn(_Table):
    column: Column
    aliases: dict[str, str] = {}
    patterns: tuple[Pattern, ...] = ()

    def ours(self, text: str) -> str:
        """Our name of a model that the export calls ``text``; ValueError where a pattern names a group it has not."""
        for pattern in self.patterns:
            try:
                text = pattern.match.sub(pattern.replace, text)
            except re.error as error:
                raise ValueError(f"pattern {pattern.match.pattern!r}: {error}") from error
        return self.aliases.get(text, text)


class TokenColumns(_Table):
    input: Column
    output: Column


class CostColumn(_Table):
    column: Column
    currency: Currency | None = None
    currency_column: Column | None = None
    unit: Unit = Decimal(1)

    @model_validator(mode="after")
    def _has_one_currency(self) -> Self:
        if (self.currency is None) == (self.currency_column is None):
            raise ValueError("give currency or currency_column")
        return self


class Mapping(_Table):
    """See the module."""

    name: str = ""
    provider: tuple[str, ...] = ()
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    skip_when_empty: tuple[Column, ...] = ()
    time: TimeColumn
    model: ModelColumn
    tokens: TokenColumns | None = None
    cost: CostColumn | None = None

    @model_validator(mode="after")
    def _compares_something(self) -> Self:
        if self.tokens is None and self.cost is None:
            raise ValueError("give [tokens] or [cost], or there is nothing to compare")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a file must have."""
        named = [self.time.column, self.model.column, *self.skip_when_empty]
        if self.tokens is not None:
            named += [self.tokens.input, self.tokens.output]
        if self.cost is not None:
            named += [name for name in (self.cost.column, self.cost.currency_column) if name is not None]
        return tuple(dict.fromkeys(named))


def built_in(name: str) -> tuple[Mapping, ...]:
    """The layouts of a format; Misconfigured when there is no such format."""
    if name not in BUILT_IN:
        raise Misconfigured(f"no format is called {name!r}; there are {', '.join(sorted(BUILT_IN))}", hint="--mapping")
    return tuple(_mapping(_layout(layout), layout) for layout in BUILT_IN[name])


def _layout(name: str) -> dict[str, Any]:
    known = [layout for layouts in BUILT_IN.values() for layout in layouts]
    if name not in known:
        raise Misconfigured(f"no layout is called {name!r}; there are {', '.join(known)}")
    return tomllib.loads((files(__package__) / "mappings" / f"{name}.toml").read_text("utf-8"))


def mapping_in(path: Path) -> Mapping:
    """The mapping of a TOML file; Misconfigured naming the file and what is wrong in it."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"{path}: {error}", hint="tokenmeter reconcile-supplier --help") from error
    base = document.pop("extends", None)
    return _mapping(document if base is None else _over(_layout(str(base)), document), str(path))


def _over(base: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """``base`` with what ``document`` says in its place, table by table."""
    merged = dict(base)
    for name, value in document.items():
        old = merged.get(name)
        merged[name] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _mapping(document: dict[str, Any], name: str) -> Mapping:
    try:
        return Mapping.model_validate({**document, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Misconfigured(f"{name}: {where or 'mapping'}: {first['msg']}") from error
