"""Reads many Avro values side by side: each field of every value at once, every value within its own bytes.

A value is walked from its own first byte and must end at its own last one, so damage in one cannot touch another; no
container is built and no Avro library takes part. What the walk does not find in the shortest form that an encoder
writes (a long varint with spare bytes, an array in several blocks, text that is not UTF-8) is not ``ok``, and is left
to the record reader: so equal records have equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenmeter.audit.walked import I64, NULL, U64, Bools, Column, Walked
from tokenmeter.events import wire
from tokenmeter.events.contract import EVENT_BYTES_MAX, Schema

PAD = bytes(16)
"""Behind the last value, so that eight bytes may be read anywhere."""
ARRAY_ITEMS_MAX = 64
"""Longer arrays are left to the record reader, for one keeps all other values waiting; what it makes of them is walked
however long they are."""
DECIMAL_BYTES_MAX = 10
"""Longer decimals are left to the record reader, too; ten bytes cannot hold what the accept rule refuses."""
LINE_DECIMAL_BYTES_MAX = 16
"""Of a line: whatever 38 digits can say."""


def _signed(zigzag: U64) -> I64:
    return ((zigzag >> np.uint64(1)) ^ (~(zigzag & np.uint64(1)) + np.uint64(1))).view(np.int64)


_SHORT = _signed(np.arange(0x80, dtype=np.uint64))
"""Numbers of one byte."""


def walk(schema: Schema, values: Sequence[bytes]) -> Walked:
    """Walk ``values``; one that does not begin with ``schema``'s wire prefix is not ok."""
    return _Walk(schema, values, of_lines=False).run()


def walk_rewritten(schema: Schema, values: Sequence[bytes]) -> Walked:
    """Walk values that the record reader has accepted and written anew."""
    return _Walk(schema, values, of_lines=False, items_max=EVENT_BYTES_MAX).run()


def walk_lines(schema: Schema, values: Sequence[bytes]) -> Walked:
    """Walk lines: their decimals are longer, and may have a first byte to spare, as fastavro writes -2**31. Nobody
    takes a line for a repeat of another by its bytes."""
    return _Walk(schema, values, of_lines=True).run()


class _Walk:
    def __init__(
        self, schema: Schema, values: Sequence[bytes], of_lines: bool, items_max: int = ARRAY_ITEMS_MAX
    ) -> None:
        self._items_max = items_max
        self._of_lines, self._decimal_bytes_max = of_lines, LINE_DECIMAL_BYTES_MAX if of_lines else DECIMAL_BYTES_MAX
        self._fields: list[dict[str, Any]] = schema.document["fields"]
        self._data = np.frombuffer(b"".join((*values, PAD)), np.uint8)
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        self._ends = np.cumsum(sizes)
        self._begins = self._ends - sizes
        self._at = self._begins + wire.PREFIX_BYTES
        self._ok = self._begin_with(wire.prefix(schema))
        self._high = np.zeros(len(values), np.int64)  # bytes >= 0x80 that the walk accounts for
        self._texts: list[Column] = []
        self._zeros = np.zeros(len(values), np.int64)
        nulls = np.full(len(values), NULL, np.int64)
        self._nowhere = Column(self._zeros, self._zeros, nulls, np.zeros(len(values), bool))

    def _begin_with(self, prefix: bytes) -> Bools:
        ok = np.ones(len(self._at), bool)
        for place, byte in enumerate(prefix):
            ok &= self._data.take(self._at - wire.PREFIX_BYTES + place, mode="clip") == byte
        return ok

    def run(self) -> Walked:
        out = Walked(self._data, self._ends, self._ok)
        for one in self._fields:
            out.begins[one["name"]] = self._at
            out.columns[one["name"]] = self._field(one["type"])
        self._ok &= self._at == self._ends
        self._check_text()
        return out

    def _field(self, kind: Any) -> Column:
        if not isinstance(kind, list):
            return self._plain(kind, None)
        branch = self._data.take(self._at, mode="clip")
        self._at = self._at + 1
        if not branch.any():  # most optional fields are null in every value
            return self._nowhere
        self._ok &= (branch & 0xFD) == 0  # branch 0 or 1, as a zigzag byte
        present = branch != 0
        if present.all():
            return self._plain(kind[1], None)
        rows = np.flatnonzero(present)
        size = np.full(len(present), NULL, np.int64)
        empty = np.zeros(len(present), np.int64)
        found = self._plain(kind[1], rows)
        return Column(
            _spread(empty, rows, found.number),
            _spread(empty, rows, found.begin),
            _spread(size, rows, found.size),
            present,
        )

    def _plain(self, kind: Any, rows: I64 | None) -> Column:
        """A field that is not null, of all values or of ``rows``."""
        base = kind["type"] if isinstance(kind, dict) else kind
        if base == "boolean":
            flag = self._data.take(self._at if rows is None else self._at[rows], mode="clip")
            self._refuse(rows, flag > 1)
            self._move(rows, 1)
            return Column(flag.astype(np.int64))
        if base == "array":
            self._array(rows)
            return Column()
        number = self._long(rows)
        if base in ("int", "long"):
            return Column(number)
        if base == "enum":
            self._refuse(rows, (number < 0) | (number >= len(kind["symbols"])))
            return Column(number)
        begin = self._at if rows is None else self._at[rows]
        left = (self._ends if rows is None else self._ends[rows]) - begin
        bad = (number < 0) | (number > left)
        if bad.any():
            self._refuse(rows, bad)
            number = np.where(bad, 0, number)
        self._move(rows, number)
        if base == "bytes":
            self._bytes(rows, begin, number)
        elif rows is None:
            self._texts.append(Column(begin=begin, size=number))
        else:
            everywhere = np.zeros(len(self._at), np.int64)
            self._texts.append(Column(begin=_spread(self._at, rows, begin), size=_spread(everywhere, rows, number)))
        return Column(None, begin, number)

    def _bytes(self, rows: I64 | None, begin: I64, size: I64) -> None:
        """A decimal: neither empty nor long, and no first byte that says nothing."""
        first = self._data.take(begin, mode="clip")
        second = self._data.take(begin + 1, mode="clip")
        padded = (size > 1) & (((first == 0) & (second < 0x80)) | ((first == 0xFF) & (second >= 0x80)))
        self._refuse(rows, (size < 1) | (size > self._decimal_bytes_max) | (padded & (not self._of_lines)))
        for place in range(self._decimal_bytes_max):
            inside = np.flatnonzero(size > place)
            if not len(inside):
                break
            high = self._data.take(begin[inside] + place, mode="clip") >> 7
            self._high[inside if rows is None else rows[inside]] += high

    def _array(self, rows: I64 | None) -> None:
        """An array of strings: one block, then the empty one."""
        count = self._long(rows)
        self._refuse(rows, (count < 0) | (count > self._items_max))
        everyone = np.arange(len(self._at)) if rows is None else rows
        open_ = everyone[(count > 0) & (count <= self._items_max)]
        count = count[(count > 0) & (count <= self._items_max)]
        while len(open_):
            self._plain("string", open_)
            count = count - 1
            self._refuse(open_, (count == 0) & (self._data.take(self._at[open_], mode="clip") != 0))
            self._move(open_, (count == 0).astype(np.int64))
            open_, count = open_[count > 0], count[count > 0]

    def _long(self, rows: I64 | None) -> I64:
        """A zigzag varint."""
        at = self._at if rows is None else self._at[rows]
        byte = self._data.take(at, mode="clip")
        if rows is None and not byte.any():  # most counts are 0 in every value
            self._at = at + 1
            return self._zeros
        more = np.flatnonzero(byte >= 0x80)
        at = at + 1
        if not len(more):
            self._stand(rows, at)
            return _SHORT.take(byte)
        number = (byte & np.uint8(0x7F)).astype(np.uint64)
        self._high[more if rows is None else rows[more]] += 1
        for shift in range(7, 70, 7):
            if not len(more):
                break
            everyone = len(more) == len(at)
            byte = self._data.take(at if everyone else at[more], mode="clip")
            going = byte >= 0x80
            wrong = (byte == 0) | ((byte > 1) if shift == 63 else False)
            if wrong.any():
                self._refuse(rows, wrong, more)
                going &= ~wrong
            part = (byte & np.uint8(0x7F)).astype(np.uint64) << np.uint64(shift)
            if everyone:
                number |= part
                at = at + 1
            else:
                number[more] |= part
                at[more] += 1
            more = more[going]
            self._high[more if rows is None else rows[more]] += 1
        self._stand(rows, at)
        return _signed(number)

    def _stand(self, rows: I64 | None, at: I64) -> None:
        if rows is None:
            self._at = at
        else:
            self._at = self._at.copy()
            self._at[rows] = at

    def _move(self, rows: I64 | None, size: I64 | int) -> None:
        if rows is None:
            self._at = self._at + size
        else:
            self._at = self._at.copy()
            self._at[rows] += size

    def _refuse(self, rows: I64 | None, bad: Bools, among: I64 | None = None) -> None:
        """``bad`` is about all values, or ``rows`` of them, or those ``among`` these."""
        if bad.any():
            found = np.flatnonzero(bad) if among is None else among[bad]
            self._ok[found if rows is None else rows[found]] = False

    def _check_text(self) -> None:
        """Text must be UTF-8. Most values are plain ASCII: they have no high byte but those of long varints."""
        if not len(self._ok):
            return
        if self._ok.all() and np.count_nonzero(self._data >= 0x80) == self._high.sum():
            return
        high = np.add.reduceat((self._data >> 7).astype(np.uint8), self._begins, dtype=np.int64)
        self._decode_text(np.flatnonzero(self._ok & (high != self._high)))

    def _decode_text(self, rows: I64) -> None:
        """Decode the texts of ``rows`` all at once: everything else is blanked, and a size stands before each text.

        If that fails the rows are halved, until those with damaged text stand alone.
        """
        if not len(rows):
            return
        edges = np.zeros(len(self._data), np.int8)
        for column in self._texts:
            assert column.begin is not None and column.size is not None
            begin, size = column.begin[rows], column.size[rows]
            edges[begin[size > 0]] += 1
            edges[(begin + size)[size > 0]] -= 1
        first, last = int(self._begins[rows[0]]), int(self._ends[rows[-1]])
        inside = np.cumsum(edges[first:last], dtype=np.int8).view(bool)
        try:
            np.where(inside, self._data[first:last], 0).tobytes().decode()
        except UnicodeDecodeError:
            if len(rows) == 1:
                self._ok[rows] = False
                return
            middle = len(rows) // 2
            self._decode_text(rows[:middle])
            self._decode_text(rows[middle:])


def _spread(everywhere: I64, rows: I64, values: I64 | None) -> I64 | None:
    if values is None:
        return None
    out = everywhere.copy()
    out[rows] = values
    return out
