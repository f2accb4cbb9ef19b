"""Reads a provider's response, dict or client object alike, and names by its path whatever is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from tokenmeter.events.errors import Poison

MISSING = "usage_missing"
"""Reason of Poison: a field that the provider documents is not there."""
SHAPE = "usage_shape"
"""Reason of Poison: a field is there and is not of its documented kind."""
CONFLICT = "usage_conflict"
"""Reason of Poison: two figures of one response contradict each other."""

_PICO_USD = Decimal("1e-12")
_HINT = "compare the response with the provider's API reference; is this the right provider, and the final chunk?"


@cache
def _holds_fields(kind: type) -> tuple[bool, bool]:
    """(is a mapping, is a pydantic model): asking a model for an attribute that it has not costs 5 µs."""
    return issubclass(kind, Mapping), hasattr(kind, "__pydantic_fields__")


class Reader:
    """One part of a response. Fields are asked for by name; where client and wire spell a name differently, by both.

    ``notes`` names the fields that were odd and did not cost the answer its event; all parts of a response share it.
    """

    __slots__ = ("_extra", "_fields", "_name", "_parent", "family", "notes", "value")

    def __init__(self, family: str, value: Any, parent: Reader | None = None, name: str = "") -> None:
        self.family = family
        self.value = value
        kind: type = type(value)
        is_mapping, is_model = _holds_fields(kind)
        self._fields: Mapping[str, Any] | None = value if is_mapping else value.__dict__ if is_model else None
        self._extra: Mapping[str, Any] | None = value.__pydantic_extra__ if is_model else None
        self.notes: list[str] = [] if parent is None else parent.notes
        # Most responses are as they should be: where a part lies is put together for an error only.
        self._parent = parent
        self._name = name

    @property
    def path(self) -> str:
        """Where this part lies in the response, as its errors name it."""
        above = self._parent.path if self._parent is not None else ""
        return f"{above}.{self._name}" if above else self._name

    def get(self, *names: str) -> Any:
        """The first of ``names`` that is there and not null, or None."""
        fields, extra = self._fields, self._extra
        if fields is not None:
            for name in names:
                found = fields.get(name)
                if found is None and extra:
                    found = extra.get(name)
                if found is not None:
                    return found
        else:
            for name in names:
                found = getattr(self.value, name, None)
                if found is not None:
                    return found
        return None

    def part(self, *names: str) -> Reader:
        """A part that must be there."""
        found = self.part_or_none(*names)
        if found is None:
            raise self.missing(names[0])
        return found

    def part_or_none(self, *names: str) -> Reader | None:
        for name in names:
            found = self.get(name)
            if found is not None:
                return Reader(self.family, found, self, name)
        return None

    def parts(self, *names: str) -> Iterator[Reader]:
        """The parts of a list; nothing if there is none, which is noted where something else has its name."""
        found = self.get(*names)
        if found is None:
            return
        if type(found) is not list and (isinstance(found, str | bytes | Mapping) or not hasattr(found, "__iter__")):
            self.note(names[0])
            return
        for index, item in enumerate(found):
            if item is not None:
                yield Reader(self.family, item, self, f"{names[0]}[{index}]")

    def count(self, *names: str) -> int:
        """A count that must be there."""
        found = self.get(*names)
        if found is None:
            raise self.missing(names[0])
        return self._whole(names[0], found)

    def count_or_none(self, *names: str) -> int | None:
        found = self.get(*names)
        return None if found is None else self._whole(names[0], found)

    def count_or_zero(self, *names: str) -> int:
        """A count that the provider documents as optional: absent means none."""
        found = self.get(*names)
        return 0 if found is None else self._whole(names[0], found)

    def total_or_none(self, name: str) -> int | None:
        """A sum that should agree with its parts; a zero is no sum of anything, and tells nothing."""
        return self.count_or_none(name) or None

    def detail(self, *names: str) -> int:
        """A part of a total that is told elsewhere: the first of ``names`` that is there and not zero, else 0.

        One that is no count is noted and counts 0: the total says what is to be paid, and is not lost for its part.
        """
        for name in names:
            found = self.get(name)
            if found is None:
                continue
            try:
                count = self._whole(name, found)
            except Poison:
                self.note(name)
                continue
            if count:
                return count
        return 0

    def at_most(self, limit: int, name: str, count: int) -> int:
        """``count``, or ``limit`` if it is beyond that, which is noted under ``name``."""
        if count > limit:
            self.note(name)
            return limit
        return count

    def note(self, name: str) -> None:
        """Remember that the field ``name`` of this part is odd or unknown, in a way that leaves the rest usable."""
        place = self._at(name)
        if place not in self.notes:
            self.notes.append(place)

    def text(self, *names: str) -> str | None:
        """A name or reason; enumerations by their value. None if absent or empty."""
        found = self.get(*names)
        if found is None:
            return None
        found = getattr(found, "value", found)
        return found or None if isinstance(found, str) else str(found)

    def usd(self, *names: str) -> Decimal | None:
        """Money, to the pico-USD that events carry. A client's float is read by its shortest decimal form."""
        found = self.get(*names)
        if found is None:
            return None
        amount: Decimal | None
        try:
            amount = Decimal(str(found)).quantize(_PICO_USD)
        except InvalidOperation:
            amount = None
        if amount is None or not amount.is_finite():
            raise self._wrong(names[0], found, "an amount of money")
        return amount

    def missing(self, name: str) -> Poison:
        """The error that says which field is not there."""
        return Poison(MISSING, f"a {self.family} response has no {self._at(name)}", hint=_HINT)

    def conflict(self, detail: str) -> Poison:
        odd = f"; {', '.join(self.notes)} cannot be read" if self.notes else ""
        return Poison(CONFLICT, f"a {self.family} response contradicts itself: {detail}{odd}", hint=_HINT)

    def refused(self, detail: str) -> Poison:
        return Poison(SHAPE, f"a {self.family} response cannot be metered: {detail}", hint=_HINT)

    def _at(self, name: str) -> str:
        above = self.path
        return f"{above}.{name}" if above else name

    def _wrong(self, name: str, found: Any, expected: str) -> Poison:
        # The value is never told: a response may hold a completion where a count is expected.
        kind = type(found).__name__
        return Poison(SHAPE, f"{self._at(name)} of a {self.family} response is {kind}, not {expected}", hint=_HINT)

    def _whole(self, name: str, found: Any) -> int:
        # Cohere reports counts as 7.0; true is no count.
        if type(found) is int and found >= 0:
            return found
        whole = found if type(found) is int else int(found) if isinstance(found, float) and found.is_integer() else None
        if whole is None:
            raise self._wrong(name, found, "a whole number")
        if whole < 0:
            raise Poison("negative", f"{self._at(name)} of a {self.family} response is {whole}", hint=_HINT)
        return whole
