"""``tokenmeter keys``: who may call the HTTP gateway, and what for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.catalog import DataOption, NoteOption, catalog, moment, print_table, say, write
from tokenmeter.cli.printable import printable
from tokenmeter.events.catalog import Key
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.keys import added, is_valid, revoked, rights_of, rotated, secrets_of
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Proposed

app = typer.Typer(
    no_args_is_help=True,
    help="Keys of the HTTP gateway. Only the hash of a key is kept; every gateway follows a change within a second.",
)
KeyArgument = Annotated[str, typer.Argument(help="the key's name, as it is listed and revoked by")]
OVERLAP_HOURS = 24.0


@app.command(
    epilog="Examples: tokenmeter keys add acme-prod --customer acme --events-per-s 2000 · "
    "tokenmeter keys add router --rights usage,correction"
)
def add(
    key: KeyArgument,
    customer: Annotated[
        str | None, typer.Option(help="whose key it is; without, it is a gateway's own and may name any customer")
    ] = None,
    rights: Annotated[str, typer.Option(help="of usage, correction, read, admin")] = "usage,read",
    events_per_s: Annotated[int | None, typer.Option(min=1, help="events it may send a second")] = None,
    bytes_per_s: Annotated[int | None, typer.Option(min=1, help="bytes it may send a second")] = None,
    until: Annotated[str | None, typer.Option(help="when it ends, UTC, as 2026-12-01 (default: when revoked)")] = None,
    note: NoteOption = None,
    data: DataOption = None,
) -> None:
    """Make a key and show it, once."""
    now = datetime.now(UTC)
    named, ends = rights_of(rights, customer), None if until is None else moment(until, "--until")
    limits = {"events_per_s": events_per_s, "bytes_per_s": bytes_per_s}
    secret = ""

    def propose(known: Catalog) -> list[Proposed]:
        nonlocal secret
        try:
            made = added(known, key, customer, named, limits, ends, note, now)
        except ValueError as error:
            raise Misconfigured(f"key {key}: {error}", hint="tokenmeter keys add --help") from error
        secret = made.secret
        return _proposed(made.rows)

    write(data, propose)
    say(f"{key}: {_whose(customer)}, {', '.join(named)}. It is shown this once and kept nowhere:")
    say(secret)


@app.command(epilog="Example: tokenmeter keys rotate acme-prod --overlap-hours 24")
def rotate(
    key: KeyArgument,
    overlap_hours: Annotated[float, typer.Option(min=0, help="how long the old key goes on being valid")] = (
        OVERLAP_HOURS
    ),
    data: DataOption = None,
) -> None:
    """Make a new secret for a key; the old one stays valid for a while."""
    now = datetime.now(UTC)
    secret = ""

    def propose(known: Catalog) -> list[Proposed]:
        nonlocal secret
        made = rotated(known, key, timedelta(hours=overlap_hours), now)
        secret = made.secret
        return _proposed(made.rows)

    write(data, propose)
    ends = now + timedelta(hours=overlap_hours)
    say(f"{key}: the old key is valid until {ends:%Y-%m-%d %H:%M} UTC. The new one, shown this once:")
    say(secret)


@app.command(epilog="Example: tokenmeter keys revoke acme-prod")
def revoke(key: KeyArgument, data: DataOption = None) -> None:
    """Refuse a key for ever, everywhere, within a second."""
    now = datetime.now(UTC)
    written = write(data, lambda known: _proposed(revoked(known, key, now)))
    if written.changes.rows:
        say(f"{key}: revoked; every gateway that reaches Kafka refuses it within a second")
    else:
        say(f"{key}: was revoked before")


@app.command(name="list", epilog="Example: tokenmeter keys list --json")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document")] = False, data: DataOption = None
) -> None:
    """List the keys, none of their secrets."""
    now = datetime.now(UTC)
    found = secrets_of(catalog(data))
    if as_json:
        say(json.dumps([_told(row, now) for rows in found.values() for row in rows]))
        return
    if not found:
        say("no key is there: a gateway without keys serves its own machine alone (next: tokenmeter keys add NAME)")
        return
    made = Table("key", "whose", "rights", "limits a second", "state", "from", "note", box=SIMPLE_HEAD)
    for name, rows in sorted(found.items()):
        for row in sorted(rows, key=lambda row: row.effective_from):
            cells = (name, _whose(row.customer_id), ", ".join(row.rights), _limits(row), _state(row, now))
            since = f"{row.effective_from:%Y-%m-%d %H:%M}"
            made.add_row(*(Text(printable(cell), overflow="fold") for cell in (*cells, since, row.note or "")))
    print_table(made)


def _proposed(rows: list[Key]) -> list[Proposed]:
    return [Proposed(row, COMMAND_LINE) for row in rows]


def _whose(customer: str | None) -> str:
    return "the gateway's own" if customer is None else f"customer {customer}"


def _limits(row: Key) -> str:
    told = [f"{n} {name}" for n, name in ((row.events_per_s, "events"), (row.bytes_per_s, "bytes")) if n is not None]
    return ", ".join(told) or "none"


def _state(row: Key, now: datetime) -> str:
    if row.revoked:
        return "revoked"
    if row.valid_until is None:
        return "valid"
    return f"{'valid' if is_valid(row, now) else 'over'}, until {row.valid_until:%Y-%m-%d %H:%M}"


def _told(row: Key, now: datetime) -> dict[str, object]:
    told = row.model_dump(mode="json", exclude={"row_id", "secret_sha256"})
    return {**told, "valid": is_valid(row, now)}
