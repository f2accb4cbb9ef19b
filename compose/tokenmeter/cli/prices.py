"""``tokenmeter prices``: price lists into the catalog, and what it says of a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli import price_add as cli_price_add
from tokenmeter.cli.catalog import (
    AtOption,
    BookOption,
    DataOption,
    StrictOption,
    TokensOption,
    catalog,
    changes_table,
    moment,
    print_table,
    say,
    say_written,
    write,
)
from tokenmeter.events.catalog import Price, PriceTerms
from tokenmeter.events.catalog_row import ANY_MODEL, FREE_VARIANT, LIST_BOOK
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import named
from tokenmeter.stack.prices.check import check as check_books
from tokenmeter.stack.prices.formats import read_price_list
from tokenmeter.stack.prices.litellm_map import Options
from tokenmeter.stack.prices.proposed import Parsed
from tokenmeter.stack.prices.quote import quote_table
from tokenmeter.stack.prices.shown import line, table, write_csv
from tokenmeter.stack.prices.strict import strictly
from tokenmeter.stack.prices.terms import COLUMNS, PER_MILLION, PER_UNIT

app = typer.Typer(
    no_args_is_help=True,
    help="Prices of models, in books: list is what customers see, cost what upstream asks, others as plans name them.",
)
ListFile = Annotated[
    Path, typer.Argument(help="LiteLLM's price map, OpenRouter's list of models (JSON), or a CSV file (see below)")
]
ProvidersOption = Annotated[
    list[str] | None,
    typer.Option("--provider", help="only this host's prices (OpenRouter: the host they are for); may be repeated"),
]
AnyProviderOption = Annotated[
    bool, typer.Option("--any-provider", help="the prices of the one --provider hold whoever serves the model")
]
SkippedOption = Annotated[bool, typer.Option("--skipped", help="list every entry and field that was left out, and why")]
SHOWN_MAX = 50
FORMATS = (
    "LiteLLM's map is model_prices_and_context_window.json of its repository or its Python package; OpenRouter's list "
    f"is the answer of GET /api/v1/models. The columns of a CSV file, any of them: {', '.join(COLUMNS)}. "
    f"{', '.join(PER_MILLION)} are per million tokens, {', '.join(PER_UNIT)} for one; what is not given costs as the "
    "whole it is in. A line that begins with # is a remark."
)


app.command(epilog=cli_price_add.EXAMPLES)(cli_price_add.add)


def _options(
    book: str, start: str | None, providers: Sequence[str] | None, any_provider: bool, currency: str = "USD"
) -> Options:
    return Options(moment(start, "--effective-from"), book, currency, tuple(providers or ()), any_provider)


@app.command(
    name="import",
    epilog="Examples: tokenmeter prices import model_prices.json --book cost · tokenmeter prices import models.json "
    "--effective-from 2026-12-01 · tokenmeter prices import my-prices.csv\n\n" + FORMATS,
)
def import_(
    file: ListFile,
    book: BookOption = LIST_BOOK,
    effective_from: Annotated[str | None, typer.Option(help="when the prices take effect, UTC (default: now)")] = None,
    provider: ProvidersOption = None,
    any_provider: AnyProviderOption = False,
    skipped: SkippedOption = False,
    strict: StrictOption = False,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Write a price list into a book: all of it or nothing. What is in force already is not written again."""
    kind, parsed = read_price_list(file, _options(book, effective_from, provider, any_provider))
    say(f"{file}: {kind}, {len(parsed.rows)} prices read")
    _say_skipped(parsed, skipped)
    say_written(write(data, strictly(parsed.rows) if strict else lambda _: parsed.rows, token_currency), "prices")


@app.command(epilog="Example: tokenmeter prices diff model_prices.json --book cost")
def diff(
    file: ListFile,
    book: BookOption = LIST_BOOK,
    effective_from: Annotated[str | None, typer.Option(help="when they would take effect, UTC (default: now)")] = None,
    provider: ProvidersOption = None,
    any_provider: AnyProviderOption = False,
    skipped: SkippedOption = False,
    every: Annotated[bool, typer.Option("--all", help=f"show all changes, not the first {SHOWN_MAX}")] = False,
    strict: StrictOption = False,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Show what an import would change, and write nothing."""
    kind, parsed = read_price_list(file, _options(book, effective_from, provider, any_provider))
    say(f"{file}: {kind}, {len(parsed.rows)} prices read")
    _say_skipped(parsed, skipped)
    found = write(data, strictly(parsed.rows) if strict else lambda _: parsed.rows, token_currency, write=False).changes
    if found.rows:
        print_table(changes_table(found, line, None if every else SHOWN_MAX))
    if len(found.rows) > SHOWN_MAX and not every:
        say(f"the first {SHOWN_MAX} of {len(found.rows)} changes; --all shows every one")
    absent = _absent(catalog(data), parsed, book, provider, moment(effective_from, ""))
    if absent:
        say(f"{absent} prices in force in book {book} are not in the file; they stay (prices add --withdraw ends one)")
    say(f"an import would write {len(found.new)} new, {len(found.replaced)} changed; {found.unchanged} are unchanged")


def _absent(known: Catalog, parsed: Parsed, book: str, providers: Sequence[str] | None, at: datetime) -> int:
    keys = {one.row.key for one in parsed.rows}
    in_force = (row for row in _in_force(known, at) if row.book == book and row.key not in keys)
    return sum(not providers or row.provider in providers for row in in_force)


def _say_skipped(parsed: Parsed, every: bool) -> None:
    if not parsed.skipped:
        return
    if every:
        made = Table("where", "entry", "field", "left out because", box=SIMPLE_HEAD)
        for one in parsed.skipped:
            why = f"{one.reason}: {one.detail}" if one.detail else one.reason
            made.add_row(*(Text(cell, overflow="fold") for cell in (str(one.place), one.entry, one.field or "", why)))
        print_table(made)
    made = Table("left out", "because", "for example", box=SIMPLE_HEAD)
    for reason, count, example in parsed.by_reason():
        shown = f"{example.entry} {example.field or ''}".strip()
        made.add_row(str(count), Text(reason, overflow="fold"), Text(shown, overflow="fold"))
    print_table(made)


@app.command(
    name="list", epilog="Examples: tokenmeter prices list --book cost · tokenmeter prices list --csv > book.csv"
)
def list_(
    book: Annotated[str | None, typer.Option(help="only this book")] = None,
    model: Annotated[str | None, typer.Option(help="only models like this, as 'openai/*'")] = None,
    provider: Annotated[str | None, typer.Option(help="only prices that name this host")] = None,
    at: AtOption = None,
    csv: Annotated[bool, typer.Option("--csv", help="as a CSV file that prices import reads")] = False,
    data: DataOption = None,
) -> None:
    """List the prices in force."""
    time = moment(at, "--at")
    found = [
        row
        for row in _in_force(catalog(data), time)
        if (book is None or row.book == book)
        and (model is None or fnmatchcase(row.model, model))
        and (provider is None or row.provider == provider)
    ]
    if csv:
        write_csv(found, sys.stdout)
        return
    if not found:
        say("no price is in force (next: tokenmeter prices import FILE)")
        return
    print_table(table(found))
    say(f"{len(found)} prices in force at {time:%Y-%m-%d %H:%M} UTC")


def _in_force(known: Catalog, at: datetime) -> list[PriceTerms]:
    return [row for row in known.in_force(Price, at) if isinstance(row, PriceTerms) and not row.withdrawn]


@app.command(
    epilog="Examples: tokenmeter prices show z-ai/glm-5 · tokenmeter prices show openai/gpt-5 --provider azure "
    "--input-tokens 300000 --customer cus_0000 --at 2026-12-01"
)
def show(
    model: Annotated[str, typer.Argument(help="author/slug")],
    at: AtOption = None,
    provider: Annotated[str | None, typer.Option(help="the host that serves")] = None,
    variant: Annotated[str, typer.Option(help="the variant: standard, free, batch, ...")] = "standard",
    tier: Annotated[str | None, typer.Option(help="the service tier")] = None,
    input_tokens: Annotated[int, typer.Option(help="the call's input tokens")] = 0,
    customer: Annotated[str | None, typer.Option(help="what this customer and each account above it pay")] = None,
    data: DataOption = None,
) -> None:
    """Show the prices of a model, and which of them a call gets."""
    known, time = catalog(data), moment(at, "--at")
    found = [row for row in _in_force(known, time) if _about(row, model, provider, variant)]
    if not found:
        raise Misconfigured(
            f"no price of {model} is in force at {time:%Y-%m-%d %H:%M} UTC"
            + (f" where {provider} serves" if provider else ""),
            hint=f"tokenmeter prices add --model {model} --input 1.00 --output 2.00",
        )
    print_table(table(found))
    print_table(quote_table(known.book(), time, model, provider, variant, tier, input_tokens, customer))


def _about(price: PriceTerms, model: str, provider: str | None, variant: str) -> bool:
    """All prices of the model itself, and those of patterns that a call of this variant may get."""
    if provider not in (None, price.provider or provider):
        return False
    pattern = price.model in (f"{model.partition('/')[0]}/*", ANY_MODEL)
    return price.model == model or (
        pattern and price.variant in (None if variant != FREE_VARIANT else variant, variant)
    )


@app.command(epilog="Example: tokenmeter prices check")
def check(
    at: AtOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit 1 when there is anything to look at")] = False,
    data: DataOption = None,
) -> None:
    """Find prices that no call gets, prices that tie, and models that are sold below what they cost."""
    findings = check_books(catalog(data), moment(at, "--at"))
    made = Table("what", "price", "because", box=SIMPLE_HEAD)
    for one in findings:
        made.add_row(one.kind, *(Text(cell, overflow="fold") for cell in (named(one.price), one.detail)))
    if findings:
        print_table(made)
    say(f"{len(findings)} to look at" if findings else "nothing to look at")
    if strict and findings:
        raise typer.Exit(1)
