"""``tokenmeter credit``: give and take credit by hand, and see what accounts stand at."""

from __future__ import annotations

import getpass
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenmeter.cli.catalog import DataOption, answering, client, print_table, say
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.ledger import AccountState, EntryKind
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.credit import shown
from tokenmeter.stack.credit.book import book
from tokenmeter.stack.credit.desk import currency_of, reversal_of
from tokenmeter.stack.credit.make import amount_of, entry, new_id
from tokenmeter.stack.credit.read import journal, states
from tokenmeter.stack.prices.terms import time_of

app = typer.Typer(
    no_args_is_help=True,
    help="Grants, payments, adjustments and invoices by hand, and what accounts stand at. Amounts are in the "
    "account's own currency.",
)
WAIT_S = 30.0
JSON_HELP = "amounts as text, in full"

AccountArgument = Annotated[str, typer.Argument(help="the account's id: a customer_id of events, or a distributor's")]
AmountArgument = Annotated[str, typer.Argument(help="as 12.50, in the account's currency")]
IdOption = Annotated[
    str | None,
    typer.Option("--id", help="the entry's id, which counts once: give it again to try again (default: new)"),
]
NoteOption = Annotated[str | None, typer.Option(help="a remark that is kept with it")]
ReferenceOption = Annotated[str | None, typer.Option(help="its number elsewhere; used by one entry of its kind")]
ExpiresOption = Annotated[
    str | None, typer.Option(help="what is left by then is taken off, UTC, as 2026-12-01 or 2026-12-01T16:00")
]
PriorityOption = Annotated[int, typer.Option(help="the smallest is drawn first")]
WaitOption = Annotated[float, typer.Option(min=0.1, help="seconds in which the ledger must have booked it")]
JsonOption = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.command(
    epilog="Example: tokenmeter credit grant acme 50 --expires 2027-01-01 --promotional --note 'welcome credit'"
)
def grant(
    account: AccountArgument,
    amount: AmountArgument,
    expires: ExpiresOption = None,
    promotional: Annotated[bool, typer.Option("--promotional", help="given, not paid for; drawn before paid")] = False,
    priority: PriorityOption = 0,
    id_: IdOption = None,
    note: NoteOption = None,
    wait: WaitOption = WAIT_S,
    data: DataOption = None,
) -> None:
    """Give an account credit."""
    terms = {"expires_at": _time(expires), "promotional": promotional, "priority": priority}
    _book(account, EntryKind.GRANT, id_, data, wait, amount=amount_of(amount), note=note, **terms)


@app.command(epilog="Example: tokenmeter credit pay acme 200 --reference ch_3Pq --id pay-ch_3Pq")
def pay(
    account: AccountArgument,
    amount: AmountArgument,
    reference: ReferenceOption = None,
    expires: ExpiresOption = None,
    priority: PriorityOption = 0,
    id_: IdOption = None,
    note: NoteOption = None,
    wait: WaitOption = WAIT_S,
    data: DataOption = None,
) -> None:
    """Note a payment: it pays the overdraft and open invoices, the rest is credit."""
    terms = {"expires_at": _time(expires), "priority": priority, "reference": reference}
    _book(account, EntryKind.PAYMENT, id_, data, wait, amount=amount_of(amount), note=note, **terms)


@app.command(
    epilog="Examples: tokenmeter credit adjust acme 2.50 --note goodwill · tokenmeter credit adjust acme -2.50",
    context_settings={"ignore_unknown_options": True},
)
def adjust(
    account: AccountArgument,
    amount: Annotated[str, typer.Argument(help="as 2.50, or -2.50 to take it, in the account's currency")],
    id_: IdOption = None,
    note: NoteOption = None,
    wait: WaitOption = WAIT_S,
    data: DataOption = None,
) -> None:
    """Give back or take an amount."""
    _book(account, EntryKind.ADJUSTMENT, id_, data, wait, amount=amount_of(amount), note=note)


@app.command(epilog="Example: tokenmeter credit invoice cus_0000 120 --reference 2026-11-0042")
def invoice(
    account: AccountArgument,
    amount: AmountArgument,
    reference: ReferenceOption = None,
    id_: IdOption = None,
    note: NoteOption = None,
    wait: WaitOption = WAIT_S,
    data: DataOption = None,
) -> None:
    """Note that an amount was billed: it moves from unbilled to billed and unpaid, the balance stays."""
    terms = {"billed_amount": amount_of(amount), "reference": reference}
    _book(account, EntryKind.INVOICE, id_, data, wait, note=note, **terms)


@app.command(epilog="Example: tokenmeter credit void acme grant-3f0c9a1be2d47755 --note 'wrong customer'")
def void(
    account: AccountArgument,
    entry_id: Annotated[str, typer.Argument(help="the entry to take back, once and whole")],
    id_: IdOption = None,
    note: NoteOption = None,
    wait: WaitOption = WAIT_S,
    data: DataOption = None,
) -> None:
    """Take an entry back."""
    settings = client(data)
    with answering(settings):
        told = reversal_of(KafkaLogReader(settings), account, entry_id)
    _book(account, EntryKind.VOID, id_, data, wait, note=note, **told)


def _book(account: str, kind: EntryKind, id_: str | None, data: Path | None, wait_s: float, **fields: Any) -> None:
    settings = client(data)
    with answering(settings):
        fields.setdefault("currency", _currency(KafkaLogReader(settings), account))
        made_by = f"{getpass.getuser()}, tokenmeter credit"
        made = entry(account, kind, id_ or new_id(kind), datetime.now(UTC), made_by, **fields)
        say(f"{kind.lower()} {made.entry_id}")  # before it is written: whoever is cut off can give the same id again
        booked = book(settings, made, wait_s)
    if booked.refusal is not None:
        raise Fatal(f"refused: {booked.refusal.sentence}", hint=f"tokenmeter credit history {account}")
    if booked.repeated:
        say("it has counted before: nothing changed")
    if booked.state is not None:
        say(shown.summary(booked.state))


def _currency(log: KafkaLogReader, account: str) -> str:
    currency = currency_of(log, account)
    if currency is None:
        say(f"{account} is in no catalog row and has no entry yet: a new account, in USD")
    return currency or "USD"


@app.command(epilog="Example: tokenmeter credit show acme --json")
def show(account: AccountArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show what an account stands at: balance, credit, exposure, grants, budgets, open alerts, verdict."""
    state = _states(data, account).get(account)
    if state is None:
        raise Misconfigured(f"the ledger knows no account {account}", hint="tokenmeter credit list")
    if as_json:
        _print(shown.as_json(state))
        return
    for table in (shown.facts(state), *shown.details(state)):
        print_table(table)


@app.command(epilog="Example: tokenmeter credit history acme")
def history(account: AccountArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show an account's journal as far as Kafka keeps it; what was refused or sent twice is in it, too."""
    settings = client(data)
    with answering(settings):
        found = journal(KafkaLogReader(settings), account)
    if as_json:
        places = ({"entries_partition": one.partition, "entries_offset": one.offset} for one in found)
        _print([shown.as_json(one.entry, **place) for one, place in zip(found, places, strict=True)])
    elif found:
        print_table(shown.entries(found))
    else:
        say(f"there is no entry of account {account}")


@app.command(name="list", epilog="Example: tokenmeter credit list --json")
def list_(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show all accounts that have an entry."""
    found = _states(data, None)
    if as_json:
        _print([shown.as_json(found[name]) for name in sorted(found)])
    elif found:
        print_table(shown.accounts(found.values()))
    else:
        say("no account has an entry yet (next: tokenmeter credit grant ACCOUNT AMOUNT)")


def _states(data: Path | None, account: str | None) -> dict[str, AccountState]:
    settings = client(data)
    with answering(settings):
        return states(KafkaLogReader(settings), account)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return time_of(text)
    except ValueError as error:
        raise Misconfigured(f"--expires: {error}", hint="tokenmeter credit --help") from error


def _print(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
