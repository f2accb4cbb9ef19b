"""What the verbs on the catalog share: reading and writing it with the settings, and how they say what was done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from confluent_kafka import KafkaException
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import console, make_console
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import Changes, named
from tokenmeter.stack.prices.proposed import Proposed
from tokenmeter.stack.prices.reader import read_catalog
from tokenmeter.stack.prices.terms import time_of
from tokenmeter.stack.prices.writer import Written, publish

DataOption = Annotated[Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")]
AtOption = Annotated[str | None, typer.Option("--at", help="as of this time, UTC (default: now)")]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="when it takes effect, UTC, as 2026-12-01 or 2026-12-01T16:00 (default: now)"),
]
BookOption = Annotated[str, typer.Option(help="the book: list, cost, or one of your own that plans name")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="refuse models that neither a model row nor another price names")
]
NoteOption = Annotated[str | None, typer.Option(help="a remark that is kept with it")]
TokensOption = Annotated[
    list[str] | None,
    typer.Option("--token-currency", help="a token that counts as money, as USD1 (beside TOKENMETER_TOKEN_CURRENCIES)"),
]


def client(data: Path | None) -> dict[str, Any]:
    """Settings of Kafka's clients."""
    return kafka(load(data=data))


def catalog(data: Path | None) -> Catalog:
    """The catalog as it is now."""
    settings = client(data)
    with answering(settings):
        return read_catalog(KafkaLogReader(settings))


@contextmanager
def answering(settings: Mapping[str, Any]) -> Iterator[None]:
    """A broker that does not answer is an error of ours, with what to do next."""
    try:
        yield
    except KafkaException as error:
        raise Fatal(
            f"Kafka at {settings['bootstrap.servers']}: {error.args[0].str()}", hint="tokenmeter status"
        ) from error


def write(
    data: Path | None,
    propose: Callable[[Catalog], Sequence[Proposed]],
    tokens: Sequence[str] | None = None,
    write: bool = True,
) -> Written:
    """Write what of it is new, with the tokens that settings and flags allow as money."""
    listed = load(data=data).token_currencies.split(",")
    allowed = [code.strip().upper() for code in (*listed, *(tokens or ())) if code.strip()]
    settings = client(data)
    with answering(settings):
        return publish(settings, propose, allowed, write)


def moment(text: str | None, name: str) -> datetime:
    """The time that a flag gives, else now."""
    if text is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return time_of(text)
    except ValueError as error:
        raise Misconfigured(f"{name}: {error}", hint="give a time, or leave the flag out for now") from error


def say(text: str) -> None:
    """A line, as wide as it is."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def say_written(written: Written, what: str) -> None:
    """What a write did, and from where on it is known."""
    found = written.changes
    if not found.rows:
        say(f"nothing written: {found.unchanged} {what} say what is in force already")
        return
    say(
        f"written: {len(found.new)} new, {len(found.replaced)} that take another's place, "
        f"{found.unchanged} unchanged; known from catalog offset {written.catalog_offset}"
    )


def changes_table(found: Changes, terms: Callable[[Any], str], rows_max: int | None) -> Table:
    """Rows that take another's place, then those that are new, the first of them."""
    made = Table("", "what", "terms", box=SIMPLE_HEAD)
    changed = [("~", one, f"{terms(before)} → {terms(one.row)}") for before, one in found.replaced[:rows_max]]
    rest = None if rows_max is None else rows_max - len(changed)
    for mark, one, said in [*changed, *(("+", one, terms(one.row)) for one in found.new[:rest])]:
        made.add_row(mark, _fold(named(one.row)), _fold(said))
    return made


def print_table(table: Table) -> None:
    """As wide as it needs to be where nobody looks at it in a terminal."""
    if console.is_terminal:
        console.print(table)
    else:
        make_console(file=sys.stdout, width=240).print(table)


def _fold(text: str) -> Text:
    return Text(text, overflow="fold")
