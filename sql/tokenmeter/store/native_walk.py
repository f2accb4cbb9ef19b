"""Where the columns of a Native block end. Nothing is read but lengths: what a value says does not matter here."""

from __future__ import annotations

import re
from functools import cache

_FIXED = {
    **dict.fromkeys(("Int8", "UInt8", "Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("Int16", "UInt16", "Enum16", "Date", "BFloat16"), 2),
    **dict.fromkeys(("Int32", "UInt32", "Float32", "Date32", "DateTime", "IPv4", "Time", "Decimal32"), 4),
    **dict.fromkeys(("Int64", "UInt64", "Float64", "DateTime64", "Time64", "Decimal64"), 8),
    **dict.fromkeys(("Int128", "UInt128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("Int256", "UInt256", "Decimal256"), 32),
}
_SAME_AS = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}
_DECIMAL_DIGITS = ((9, 4), (18, 8), (38, 16), (76, 32))
_ELEMENT_NAME = re.compile(r"^(?:`(?:[^`\\]|\\.)*`|\w+) (?=[A-Z])")
_INDEX_BYTES = (1, 2, 4, 8)


class Short(Exception):
    """The block goes on in the next piece."""


class Unwalkable(Exception):
    """A type whose values have no length that could be told without reading them all."""


@cache
def parsed_type(kind: str) -> tuple[str, tuple[str, ...]]:
    """``Map(String, Array(Int8))`` as ("Map", ("String", "Array(Int8)"))."""
    name, opened, rest = kind.partition("(")
    found, depth, quote, begins = [], 0, "", 0
    if not opened:
        return name, ()
    for at, character in enumerate(rest):
        if quote:
            quote = "" if character == quote and rest[at - 1] != "\\" else quote
        elif character in "'`":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif character in ",)" and not depth:
            found.append(rest[begins:at].strip())
            begins = at + 1
    return name, tuple(filter(None, found))


def _element(kind: str) -> str:
    """The type of a tuple's element, which may be named."""
    return _ELEMENT_NAME.sub("", kind)


class Walk:
    """A place in a block; raises Short when it ends before, Unwalkable for a type it cannot step over."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def step(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise Short
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        value = shift = 0
        while (byte := self.step(1)[0]) >= 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def text(self) -> str:
        return self.step(self.number()).decode()

    def column(self, kind: str, rows: int) -> None:
        """Step over the ``rows`` values of a column."""
        self._prefix(kind)
        self._values(kind, rows)

    def _prefix(self, kind: str) -> None:
        """What stands once before the values: of a LowCardinality, however deep, its version."""
        for inner in _inner(kind):
            self._prefix(inner)
        if parsed_type(kind)[0] == "LowCardinality":
            self.step(8)

    def _values(self, kind: str, rows: int) -> None:
        name, given = parsed_type(kind)
        if name == "String":
            self._strings(rows)
        elif name == "Nullable":
            self.step(rows)
            self._values(given[0], rows)
        elif name in ("Array", "Map", "Nested"):
            ends = self.step(8 * rows)
            for inner in _inner(kind):
                self._values(inner, int.from_bytes(ends[-8:], "little"))
        elif name == "Tuple":
            for inner in _inner(kind):
                self._values(inner, rows)
            self.step(0 if given else rows)
        elif name == "LowCardinality":
            self._dictionary(given[0], rows)
        elif name in _SAME_AS:
            self._values(_SAME_AS[name], rows)
        else:
            self.step(_value_bytes(name, given) * rows)

    def _strings(self, rows: int) -> None:
        data, at, end = self.data, self.at, len(self.data)
        for _ in range(rows):
            if at < end and data[at] < 0x80:
                at += data[at] + 1
            else:
                self.at = at
                size = self.number()
                at = self.at + size
        self.at = at
        self.step(0)

    def _dictionary(self, kind: str, rows: int) -> None:
        if not rows:
            return
        width = _INDEX_BYTES[int.from_bytes(self.step(8), "little") & 0xFF]
        keys = int.from_bytes(self.step(8), "little")
        name, given = parsed_type(kind)
        self._values(given[0] if name == "Nullable" else kind, keys)
        self.step(width * int.from_bytes(self.step(8), "little"))


def _inner(kind: str) -> tuple[str, ...]:
    """The types whose values a column of ``kind`` is made of, in their order."""
    name, given = parsed_type(kind)
    if name in _SAME_AS:
        return _inner(_SAME_AS[name])
    if name in ("Nullable", "Array", "Map"):
        return given
    return tuple(map(_element, given)) if name in ("Tuple", "Nested") else ()


def _value_bytes(name: str, given: tuple[str, ...]) -> int:
    if name == "FixedString":
        return int(given[0])
    if name == "Decimal":
        return next(size for digits, size in _DECIMAL_DIGITS if int(given[0]) <= digits)
    size = 8 if name.startswith("Interval") else _FIXED.get(name)
    if size is None:
        raise Unwalkable(name)
    return size
