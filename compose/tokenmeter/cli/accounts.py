"""``tokenmeter accounts``: who pays whom, on which plan, before or after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

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
from tokenmeter.cli.terminal import console
from tokenmeter.events.catalog import Account, Plan
from tokenmeter.events.catalog_row import CHAIN_ACCOUNTS_MAX
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices.account_terms import ACCOUNT_COLUMNS, account_of, base_shown
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Problem, Proposed, Rejected, read_text
from tokenmeter.stack.prices.quote import quote_table
from tokenmeter.stack.prices.shown import plain
from tokenmeter.stack.prices.table import rows_of
from tokenmeter.stack.prices.terms import time_of

app = typer.Typer(
    no_args_is_help=True,
    help="Accounts: customers, and the distributors above them. A customer without one is on the plan default.",
)
AccountArgument = Annotated[str, typer.Argument(help="the account's id: a customer_id of events, or a distributor's")]
ParentOption = Annotated[str | None, typer.Option(help="the account that this one pays; none for the top")]
PlanOption = Annotated[str | None, typer.Option(help="the plan it is charged by (default: default)")]
CurrencyOption = Annotated[str | None, typer.Option(help="the currency of its balance (default: USD)")]
ModeOption = Annotated[str | None, typer.Option(help="prepaid or postpaid (default: postpaid)")]
LimitOption = Annotated[str | None, typer.Option(help="how far its balance may go below zero; none for no limit")]
ThresholdsOption = Annotated[str | None, typer.Option(help="percentages of the limit that alert, as 50,80,100")]
TermsOption = Annotated[str | None, typer.Option(help="days in which an invoice is to be paid")]
WhiteLabelOption = Annotated[str | None, typer.Option(help="yes: its customers do not see us")]
StatusOption = Annotated[str | None, typer.Option(help="active, suspended or closed (default: active)")]
Told = Mapping[str, str | None]


@app.command(
    epilog="Examples: tokenmeter accounts add acme --plan reseller --mode prepaid --limit 500 · "
    "tokenmeter accounts add cus_0000 --parent acme --plan retail --thresholds 50,80,100"
)
def add(
    account: AccountArgument,
    parent: ParentOption = None,
    plan: PlanOption = None,
    currency: CurrencyOption = None,
    mode: ModeOption = None,
    limit: LimitOption = None,
    thresholds: ThresholdsOption = None,
    terms_days: TermsOption = None,
    white_label: WhiteLabelOption = None,
    status: StatusOption = None,
    start: FromOption = None,
    note: NoteOption = None,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Add an account."""
    told = _told(account, parent, plan, currency, mode, limit, thresholds, terms_days, white_label, status, start, note)
    _write(told, token_currency, data, must_exist=False)


@app.command(
    name="set",
    epilog="Examples: tokenmeter accounts set cus_0000 --plan retail --from 2026-12-01 · "
    "tokenmeter accounts set acme --status suspended · tokenmeter accounts set cus_0001 --parent none",
)
def set_(
    account: AccountArgument,
    parent: ParentOption = None,
    plan: PlanOption = None,
    currency: CurrencyOption = None,
    mode: ModeOption = None,
    limit: LimitOption = None,
    thresholds: ThresholdsOption = None,
    terms_days: TermsOption = None,
    white_label: WhiteLabelOption = None,
    status: StatusOption = None,
    start: FromOption = None,
    note: NoteOption = None,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Change an account; what no flag names stays as it is."""
    told = _told(account, parent, plan, currency, mode, limit, thresholds, terms_days, white_label, status, start, note)
    if {name for name, text in told.items() if text is not None} <= {"account", "from", "note"}:
        raise Misconfigured("nothing to change is named", hint="tokenmeter accounts set --help")
    _write(told, token_currency, data, must_exist=True)


def _told(account: str, *rest: str | None) -> Told:
    """The flags by their columns."""
    return dict(zip(ACCOUNT_COLUMNS, (account, *rest), strict=True))


def _write(told: Told, tokens: list[str] | None, data: Path | None, must_exist: bool) -> None:
    name = str(told["account"])
    time = moment(told["from"], "--from")

    def propose(known: Catalog) -> list[Proposed]:
        before = known.find(Account, (name,), time)
        if must_exist and before is None:
            raise Misconfigured(f"account {name} is not there", hint=f"tokenmeter accounts add {name}")
        if not must_exist and before is not None:
            raise Misconfigured(f"account {name} is there already", hint=f"tokenmeter accounts set {name} --help")
        try:
            return [Proposed(account_of(told, time, before), COMMAND_LINE)]
        except ValueError as error:
            raise Rejected([Problem(COMMAND_LINE, str(error))], hint="tokenmeter accounts add --help") from error

    written = write(data, propose, tokens)
    say_written(written, "accounts")
    for one in written.changes.rows:
        if isinstance(one.row, Account):
            say(f"{name}: {terms(one.row)}, from {one.row.effective_from:%Y-%m-%d %H:%M} UTC")


@app.command(
    name="import",
    epilog="Example: tokenmeter accounts import accounts.csv\n\n"
    f"The columns, any of them: {', '.join(ACCOUNT_COLUMNS)}. "
    "What a line leaves empty stays as the account has it. A line that begins with # is a remark.",
)
def import_(
    file: Annotated[Path, typer.Argument(help="a CSV file, an account a line")],
    start: FromOption = None,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Add and change accounts in bulk, all or none. The order of the lines does not matter."""
    time = moment(start, "--from")
    text = read_text(file)

    def propose(known: Catalog) -> list[Proposed]:
        def row_of(told: Told) -> Account:
            start = told.get("from")
            since = time_of(start.strip()) if start and start.strip() else time
            before = known.find(Account, ((told.get("account") or "").strip(),), since)
            return account_of(told, since, before)

        return rows_of(text, str(file), ACCOUNT_COLUMNS, row_of)

    say_written(write(data, propose, token_currency), "accounts")


def terms(account: Account) -> str:
    """An account in a line."""
    limit = "no limit" if account.credit_limit is None else f"limit {plain(account.credit_limit)} {account.currency}"
    parts = [
        f"plan {account.plan_id}",
        account.currency,
        str(account.mode).lower(),
        limit,
        str(account.status).lower(),
        f"pays {account.parent_id}" if account.parent_id else "",
        "white label" if account.white_label else "",
        f"{account.payment_terms_days} days" if account.payment_terms_days else "",
        f"alerts at {', '.join(map(str, account.thresholds_percent))} %" if account.thresholds_percent else "",
    ]
    return ", ".join(part for part in parts if part)


@app.command(
    epilog="Examples: tokenmeter accounts show cus_0000 · tokenmeter accounts show cus_0000 --model z-ai/glm-5 "
    "--provider z-ai --at 2026-12-01"
)
def show(
    account: AccountArgument,
    at: AtOption = None,
    model: Annotated[str | None, typer.Option(help="what each level pays for a call of this model")] = None,
    provider: Annotated[str | None, typer.Option(help="the host that serves it")] = None,
    variant: Annotated[str, typer.Option(help="the variant: standard, free, batch, ...")] = "standard",
    tier: Annotated[str | None, typer.Option(help="the service tier")] = None,
    input_tokens: Annotated[int, typer.Option(help="the call's input tokens")] = 0,
    data: DataOption = None,
) -> None:
    """Show an account, its plan and the accounts above it; with --model the price at each level."""
    known, time = catalog(data), moment(at, "--at")
    book = known.book()
    made = Table("level", "account", "terms", "plan's price", box=SIMPLE_HEAD)
    for level, name in enumerate(book.chain_of(account, time)):
        row, plan = known.find(Account, (name,), time), book.plan_of(name, time)
        said = terms(row) if row is not None else "no account row: it is its own, on the plan default"
        made.add_row(str(level), *(Text(cell, overflow="fold") for cell in (name, said, _plan(plan))))
    print_table(made)
    if model is not None:
        print_table(quote_table(book, time, model, provider, variant, tier, input_tokens, account))


def _plan(plan: Plan | None) -> str:
    if plan is None:
        return "its plan is not there: nothing is priced"
    override = f", {plan.override_book} first" if plan.override_book else ""
    return f"{base_shown(plan)}{override}"


@app.command(epilog="Example: tokenmeter accounts tree")
def tree(at: AtOption = None, data: DataOption = None) -> None:
    """Show all accounts, each below the one that it pays."""
    known, time = catalog(data), moment(at, "--at")
    accounts = {row.account_id: row for row in known.in_force(Account, time)}
    if not accounts:
        say("no account is there (next: tokenmeter accounts add ACCOUNT)")
        return
    below: dict[str | None, list[str]] = {}
    for name, row in sorted(accounts.items()):
        below.setdefault(row.parent_id if row.parent_id in accounts else None, []).append(name)
    root = Tree(f"{len(accounts)} accounts at {time:%Y-%m-%d %H:%M} UTC")
    _grow(root, below, lambda name: f"{name}  {terms(accounts[name])}", below.get(None, []), CHAIN_ACCOUNTS_MAX)
    console.print(root, highlight=False, soft_wrap=True, markup=False)


def _grow(
    node: Tree, below: Mapping[str | None, list[str]], shown: Callable[[str], str], names: list[str], levels: int
) -> None:
    for name in names if levels else ():
        _grow(node.add(Text(shown(name))), below, shown, below.get(name, []), levels - 1)
