"""Text that somebody else chose (a customer's name, an error's detail), made safe for a terminal."""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Control characters, among them what begins an escape sequence; what reverses or hides text; halves of characters."""


def printable(text: object, keep: str = "") -> str:
    """``text`` with every character that a terminal would obey, or not show, written as an escape: ``\\x1b``.

    Those in ``keep`` stay, say new lines. Give the result to rich as ``Text`` or with ``markup=False``: brackets are
    not touched.
    """
    return "".join(
        one if one in keep or unicodedata.category(one) not in _UNSEEN else one.encode("unicode_escape").decode()
        for one in str(text)
    )
