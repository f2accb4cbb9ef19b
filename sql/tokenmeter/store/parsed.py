"""What a statement is, as the engine's own parser says: its tokens, that it is one, where its data begins."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

QUERY_BYTES_MAX = 1 << 20
"""How much of a body is looked at to find where the statement ends and its data begins."""
_ONE_STATEMENT = "SELECT length(formatQuerySingleLine(unhex({text:String})))"
_TOKENS = "SELECT highlightQuery(unhex({text:String}))"
_QUOTED = re.compile(rb"^([`\"])(.*)\1$", re.DOTALL)

Ask = Callable[[str, dict[str, str]], bytes]
"""Asks the engine, with parameters; raises what the engine raises."""


@dataclass(frozen=True)
class Token:
    """``kind``: keyword, identifier, function, string, number, substitution, alias …; ``end`` in bytes of the text."""

    text: bytes
    kind: str
    end: int

    @property
    def name(self) -> str:
        """Without quotes."""
        quoted = _QUOTED.match(self.text)
        return (quoted.group(2) if quoted else self.text).decode("utf-8", "replace")


@dataclass(frozen=True)
class Statement:
    """One statement; ``tokens`` end where the data of an insert begins."""

    text: bytes
    tokens: tuple[Token, ...]

    @property
    def keywords(self) -> tuple[str, ...]:
        return tuple(" ".join(t.name.upper().split()) for t in self.tokens if t.kind == "keyword")

    @property
    def verb(self) -> str:
        """SELECT, WITH, INSERT …; empty when it begins with none."""
        return self.keywords[0].split()[0] if self.keywords else ""

    @property
    def functions(self) -> frozenset[str]:
        """Names of functions, table functions and engines with arguments, in small letters."""
        return frozenset(t.name.lower() for t in self.tokens if t.kind == "function")

    @property
    def is_insert(self) -> bool:
        return any(word.startswith("INSERT INTO") for word in self.keywords)

    @property
    def data_format(self) -> str | None:
        """The format of the data that an insert waits for; None when it has none, or a SELECT brings it."""
        if not self.is_insert:
            return None
        last = self.tokens[-1]
        if last.kind == "keyword" and last.name.upper() == "VALUES":
            return "Values"
        before = self.tokens[-2]
        return last.name if before.kind == "keyword" and before.name.upper() == "FORMAT" else None

    @property
    def head(self) -> bytes:
        """The statement without its data."""
        return self.text[: self.tokens[-1].end]

    @property
    def engine(self) -> str | None:
        """The table engine a CREATE names."""
        for at, token in enumerate(self.tokens[:-1]):
            if token.kind == "keyword" and token.name.upper() == "ENGINE":
                return self.tokens[at + 1].name
        return None


def parse(ask: Ask, text: bytes) -> Statement:
    """Parse. Raises what the engine raises for a syntax error, and for more than one statement."""
    given = {"text": text[:QUERY_BYTES_MAX].hex()}
    ask(_ONE_STATEMENT, given)
    found = ast.literal_eval(ask(_TOKENS, given).decode())
    return Statement(text, tuple(Token(text[start:end], kind, end) for start, end, kind in found))
