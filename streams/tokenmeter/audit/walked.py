"""What a walk finds in values that lie side by side: each field of all of them, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
NULL = -1


@dataclass(frozen=True)
class Column:
    """One field of every value. ``number``: the int, long, enum or boolean, 0 where null. ``begin`` and ``size``: the
    bytes of a string or a decimal; ``size`` is NULL where there is none."""

    number: I64 | None = None
    begin: I64 | None = None
    size: I64 | None = None
    present: Bools | None = None


@dataclass
class Walked:
    """``begins`` has each field's first byte in ``data``, ``ends`` each value's last one + 1."""

    data: U8
    ends: I64
    ok: Bools
    columns: dict[str, Column] = field(default_factory=dict)
    begins: dict[str, I64] = field(default_factory=dict)

    def numbers(self, name: str) -> I64:
        """The numbers of an int, long, enum or boolean field."""
        found = self.columns[name].number
        assert found is not None, f"{name} has no numbers"
        return found

    def sizes(self, name: str) -> I64:
        """The sizes of a string or bytes field."""
        found = self.columns[name].size
        assert found is not None, f"{name} has no bytes"
        return found

    def present(self, name: str) -> Bools:
        """Where an optional field has a value."""
        found = self.columns[name].present
        return np.ones(len(self.ok), bool) if found is None else found

    def text(self, name: str, row: int) -> str | None:
        """A string of one row."""
        column = self.columns[name]
        assert column.begin is not None and column.size is not None
        if column.size[row] == NULL:
            return None
        return self.data[column.begin[row] : column.begin[row] + column.size[row]].tobytes().decode()
