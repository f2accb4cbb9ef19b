"""``tokenmeter plans``: what an account is charged: a book's prices or its payee's own, and how much more or less."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.catalog import (
    AtOption,
    DataOption,
    FromOption,
    NoteOption,
    TokensOption,
    catalog,
    moment,
    print_table,
    say,
    say_written,
    write,
)
from tokenmeter.events.catalog import Account, Plan
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices.account_terms import base_shown, percent, plan_of
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Problem, Proposed, Rejected

app = typer.Typer(
    no_args_is_help=True,
    help="Plans: what accounts are charged. Without a plan of that name, default is the list price.",
)
PlanArgument = Annotated[str, typer.Argument(help="the plan's id")]
BaseOption = Annotated[
    str | None, typer.Option(help="list, cost or another book; or buy: what the payee itself pays (default: list)")
]
MarginOption = Annotated[str | None, typer.Option(help="over or under the base, as +5.5% or -30%")]
OverrideOption = Annotated[str | None, typer.Option(help="a book whose prices come first, without margin; none")]
FeeOption = Annotated[str | None, typer.Option(help="of the price, for calls on the customer's own upstream key")]
CurrencyOption = Annotated[str | None, typer.Option(help="only prices in this currency apply; none")]


@app.command(
    epilog="Examples: tokenmeter plans add retail --base cost --margin +5.5% --byok-fee 5% · "
    "tokenmeter plans add reseller --base list --margin -30% · "
    "tokenmeter plans add passed-on --base buy --margin +10% --override-book specials"
)
def add(
    plan: PlanArgument,
    base: BaseOption = None,
    margin: MarginOption = None,
    override_book: OverrideOption = None,
    byok_fee: FeeOption = None,
    currency: CurrencyOption = None,
    start: FromOption = None,
    note: NoteOption = None,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Add a plan."""
    told = {"plan": plan, "base": base, "margin": margin, "override_book": override_book, "byok_fee": byok_fee}
    _write({**told, "currency": currency, "note": note}, start, token_currency, data, must_exist=False)


@app.command(name="set", epilog="Example: tokenmeter plans set retail --margin +6% --from 2026-12-01")
def set_(
    plan: PlanArgument,
    base: BaseOption = None,
    margin: MarginOption = None,
    override_book: OverrideOption = None,
    byok_fee: FeeOption = None,
    currency: CurrencyOption = None,
    start: FromOption = None,
    note: NoteOption = None,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Change a plan; what no flag names stays as it is."""
    told = {"plan": plan, "base": base, "margin": margin, "override_book": override_book, "byok_fee": byok_fee}
    _write({**told, "currency": currency, "note": note}, start, token_currency, data, must_exist=True)


def _write(
    told: dict[str, str | None], start: str | None, tokens: list[str] | None, data: Path | None, must_exist: bool
) -> None:
    name, time = str(told["plan"]), moment(start, "--from")

    def propose(known: Catalog) -> list[Proposed]:
        before = known.find(Plan, (name,), time)
        if must_exist and before is None:
            raise Misconfigured(f"plan {name} is not there", hint=f"tokenmeter plans add {name}")
        if not must_exist and before is not None:
            raise Misconfigured(f"plan {name} is there already", hint=f"tokenmeter plans set {name} --help")
        try:
            return [Proposed(plan_of(told, time, before), COMMAND_LINE)]
        except ValueError as error:
            raise Rejected([Problem(COMMAND_LINE, str(error))], hint="tokenmeter plans add --help") from error

    written = write(data, propose, tokens)
    say_written(written, "plans")
    for one in written.changes.rows:
        if isinstance(one.row, Plan):
            say(f"{name}: {terms(one.row)}, from {one.row.effective_from:%Y-%m-%d %H:%M} UTC")


def terms(plan: Plan) -> str:
    """A plan in a line."""
    parts = [
        base_shown(plan),
        f"{plan.override_book} first" if plan.override_book else "",
        f"own key {percent(plan.byok_fee_ppm)} of it" if plan.byok_fee_ppm else "",
        f"in {plan.currency} only" if plan.currency else "",
    ]
    return ", ".join(part for part in parts if part)


@app.command(name="list", epilog="Example: tokenmeter plans list")
def list_(at: AtOption = None, data: DataOption = None) -> None:
    """List the plans in force, and how many accounts are on each."""
    known, time = catalog(data), moment(at, "--at")
    accounts = list(known.in_force(Account, time))
    made = Table("plan", "price", "accounts", "from", box=SIMPLE_HEAD)
    for plan in sorted(known.in_force(Plan, time), key=lambda plan: plan.plan_id):
        count = sum(account.plan_id == plan.plan_id for account in accounts)
        made.add_row(
            plan.plan_id, Text(terms(plan), overflow="fold"), str(count), f"{plan.effective_from:%Y-%m-%d %H:%M}"
        )
    if not made.row_count:
        say("no plan is there: every account is on the list price (next: tokenmeter plans add PLAN)")
        return
    print_table(made)


@app.command(epilog="Example: tokenmeter plans show retail")
def show(plan: PlanArgument, data: DataOption = None) -> None:
    """Show all that a plan was, is and will be, and who is on it now."""
    known, now = catalog(data), moment(None, "")
    rows = sorted(
        (row for row in known.timeline(Plan).rows() if isinstance(row, Plan) and row.plan_id == plan),
        key=lambda row: row.effective_from,
    )
    if not rows:
        raise Misconfigured(f"plan {plan} is not there", hint=f"tokenmeter plans add {plan}")
    current = known.find(Plan, (plan,), now)
    made = Table("from", "price", "", "note", box=SIMPLE_HEAD)
    for row in rows:
        mark = "in force" if row is current else "to come" if row.effective_from > now else ""
        since = f"{row.effective_from:%Y-%m-%d %H:%M}"
        made.add_row(since, Text(terms(row), overflow="fold"), mark, Text(row.note or "", overflow="fold"))
    print_table(made)
    on = sorted(account.account_id for account in known.in_force(Account, now) if account.plan_id == plan)
    say(f"{len(on)} accounts: {', '.join(on[:20])}{' ...' if len(on) > 20 else ''}" if on else "no account is on it")
