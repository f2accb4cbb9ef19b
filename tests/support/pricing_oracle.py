"""``pricing.md`` read aloud: one call at a time, in Decimal, over a plain list of rows. Slow and obvious."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog_row import CatalogRow

MILLION = Decimal(10**6)
WIDE = Context(prec=120)
TOKENS_IN = ("cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens")
TOKENS_OUT = ("reasoning_tokens", "output_audio_tokens", "output_image_tokens")
OTHERS = ("images_in", "images_out", "video_seconds", "web_searches")


def half_even(amount: Decimal) -> Decimal:
    """A whole number of pico-units."""
    return amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN, context=WIDE)


@dataclass
class Owed:
    """What one account owes for one call: the price row, the factors, the amount in pico-units."""

    row: Any
    factors: list[int]
    amount: Decimal = Decimal(0)

    @property
    def price_id(self) -> str:
        return "".join([self.row.row_id, *(f"*{factor}" for factor in self.factors if factor != 1_000_000)])


@dataclass
class Verdict:
    """The levels of a call from the customer up, None where unpriced; the cost."""

    accounts: list[str]
    plan_id: str
    owed: list[Owed | None]
    cost: Owed | None


@dataclass
class Oracle:
    """Judges calls by the rows below one catalog offset; mutants replace a rule."""

    rows: list[CatalogRow]
    rounding: Callable[[Decimal], Decimal] = half_even
    size_of: Callable[[UsageEvent], int] = lambda call: abs(call.input_tokens)
    by_key: dict[Any, list[Any]] = field(default_factory=dict)

    def in_force(self, kind: str, at: datetime) -> list[Any]:
        """The row in force of every natural key of a kind."""
        newest: dict[Any, Any] = {}
        for row in self.rows:
            if row.schema_name != f"catalog_{kind}" or row.effective_from > at:
                continue
            key = tuple(getattr(row, name) for name in row.natural_key)
            if key not in newest or newest[key].effective_from <= row.effective_from:
                newest[key] = row
        return list(newest.values())

    def best(self, book: str, call: UsageEvent) -> Any:
        """The best price of a book, or None."""
        found = [row for row in self.in_force("price", call.occurred_at) if row.book == book]
        found = [row for row in found if not row.withdrawn and self._fits(row, call)]

        def goodness(row: Any) -> tuple[Any, ...]:
            kind = 2 if row.model not in ("*",) and not row.model.endswith("/*") else 0 if row.model == "*" else 1
            named = (row.variant is not None, kind, row.service_tier is not None, row.provider is not None)
            days = sum(1 for day in range(7) if row.weekdays & (1 << day))
            return (*named, row.min_input_tokens, row.window_start_minute is not None, -days, row.row_id)

        return max(found, key=goodness, default=None)

    def _fits(self, row: Any, call: UsageEvent) -> bool:
        models = {call.model, "*"}
        if "/" in call.model:
            models.add(call.model[: call.model.index("/")] + "/*")
        if row.model not in models:
            return False
        if row.provider is not None and row.provider != call.provider:
            return False
        if row.service_tier is not None and row.service_tier != call.service_tier:
            return False
        if row.variant is None and call.variant == "free":
            return False
        if row.variant is not None and row.variant != call.variant:
            return False
        return row.min_input_tokens <= self.size_of(call) and in_window(row, call.occurred_at)

    def accounts(self, customer: str, at: datetime) -> list[str]:
        """The customer and the accounts above it."""
        parents = {row.account_id: row.parent_id for row in self.in_force("account", at)}
        chain = [customer]
        while len(chain) < 8:
            parent = parents.get(chain[-1])
            if parent is None or parent in chain:
                break
            chain.append(parent)
        return chain

    def judge(self, call: UsageEvent) -> Verdict:
        """What everybody owes for a call."""
        chain = self.accounts(call.customer_id, call.occurred_at)
        plan_ids = {row.account_id: row.plan_id for row in self.in_force("account", call.occurred_at)}
        plans = {row.plan_id: row for row in self.in_force("plan", call.occurred_at)}
        cost = self.best("cost", call)
        owed: list[Owed | None] = []
        for position in range(len(chain)):
            owed.append(self._owed(chain[position:], plan_ids, plans, call))
        for position, account in enumerate(chain):
            one, terms = owed[position], plans.get(plan_ids.get(account, "default"))
            if call.byok:
                one = owed[position] = self._fee(plan_ids.get(account, "default"), terms, call)
            if one is not None:
                if self.units(one) is None:
                    owed[position] = None
                else:
                    one.amount = self.amount(one, call)
        billed = None if cost is None else Owed(cost, [])
        if billed is not None:
            billed.amount = self.amount(billed, call)
        return Verdict(chain, plan_ids.get(call.customer_id, "default"), owed, billed)

    def _fee(self, plan_id: str, terms: Any, call: UsageEvent) -> Owed | None:
        """The plan's share of the list price, for a call on the customer's own key."""
        row = self.best("list", call)
        if row is None or (terms is None and plan_id != "default"):
            return None
        if terms is not None and terms.currency not in (None, row.currency):
            return None
        return Owed(row, [terms.byok_fee_ppm if terms else 0])

    def _owed(self, chain: list[str], plan_ids: Any, plans: Any, call: UsageEvent) -> Owed | None:
        plan_id = plan_ids.get(chain[0], "default")
        if plan_id not in plans and plan_id != "default":
            return None
        terms = plans.get(plan_id)
        if terms is None:
            row = self.best("list", call)
            return None if row is None else Owed(row, [])
        if terms.override_book is not None and (row := self.best(terms.override_book, call)) is not None:
            made: Owed | None = Owed(row, [])
        elif terms.base == "BOOK":
            row = self.best(terms.base_book, call)
            made = None if row is None else Owed(row, [1_000_000 + terms.margin_ppm])
        elif len(chain) > 1:
            above = self._owed(chain[1:], plan_ids, plans, call)
            made = None if above is None else Owed(above.row, [*above.factors, 1_000_000 + terms.margin_ppm])
        else:
            row = self.best("cost", call)
            made = None if row is None else Owed(row, [1_000_000 + terms.margin_ppm])
        if made is None or (terms.currency is not None and terms.currency != made.row.currency):
            return None
        return None if self.units(made) is None else made

    def units(self, owed: Owed) -> dict[str, Decimal] | None:
        """Unit prices after the factors; None where one is beyond a million of the currency."""
        names = ["input_tokens", *TOKENS_IN, "input_image_tokens", "output_tokens", *TOKENS_OUT, "requests", *OTHERS]
        units = {name: WIDE.scaleb(getattr(owed.row, f"{name}_price"), 12) for name in names}
        for factor in owed.factors:
            units = {
                name: self.rounding(WIDE.divide(WIDE.multiply(unit, Decimal(factor)), MILLION))
                for name, unit in units.items()
            }
            if max(units.values()) > Decimal(10) ** 18:
                return None
        return units

    def amount(self, owed: Owed, call: UsageEvent) -> Decimal:
        """Each token at its own price: what is in a part is taken out of its whole."""
        units = self.units(owed)
        assert units is not None
        parts_in = (*TOKENS_IN, "input_image_tokens")
        used = {name: Decimal(getattr(call, name)) for name in (*parts_in, *TOKENS_OUT, *OTHERS)}
        used["input_tokens"] = Decimal(call.input_tokens - sum(getattr(call, name) for name in parts_in))
        used["output_tokens"] = Decimal(call.output_tokens - sum(getattr(call, name) for name in TOKENS_OUT))
        failed = call.status >= 400 or call.error_class is not None
        used["requests"] = Decimal(0 if failed else call.calls if call.corrects is not None else 1)
        total = Decimal(0)
        for name, count in used.items():
            total = WIDE.add(total, WIDE.multiply(count, units[name]))
        return total


def in_window(row: Any, at: datetime) -> bool:
    """Whether one of the row's windows, begun today or yesterday, holds the minute."""
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    midnight = minute.replace(hour=0, minute=0)
    for day in (midnight, midnight - timedelta(days=1)):
        if not row.weekdays & (1 << day.weekday()):
            continue
        start = day + timedelta(minutes=row.window_start_minute or 0)
        end = day + timedelta(minutes=row.window_end_minute or 0)
        if end <= start:
            end += timedelta(days=1)
        if start <= minute < end:
            return True
    return False
