"""What a statement is, as the engine's own parser says: its tokens, that it is one, where its data begins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

QUERY_BYTES_MAX = 1 << 20
"""How much of a body is looked at to find where the statement ends and its data begins."""
_ONE_STATEMENT = "SELECT length(formatQuerySingleLine(unhex({text:String})))"
_TOKENS = "SELECT toJSONString(highlightQuery(unhex({text:String})))"
_OUR_QUESTION = re.compile(r": In scope SELECT length\(formatQuerySingleLine\(.*?\)\)\)")
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
    def answers(self) -> bool:
        """Whether it is a question: others answer with nothing, whatever format one asks for."""
        return self.verb in ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "KILL")

    def decoded(self) -> str:
        """As text. Bytes of no character may stand in a quoted string alone: they are written there as its escapes.

        Raises UnicodeDecodeError for one elsewhere: it would be stored as something else.
        """
        for token in self.tokens:
            if not token.text.startswith(b"'"):
                token.text.decode()
        return self.text.decode("utf-8", "backslashreplace")

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
    try:
        ask(_ONE_STATEMENT, given)
    except RuntimeError as error:
        # The client asked its own question: ours about it, with all of its text in hex, tells it nothing.
        raise RuntimeError(_OUR_QUESTION.sub("", str(error))) from None
    found = json.loads(ask(_TOKENS, given))
    return Statement(text, tuple(Token(text[t["begin"] : t["end"]], t["type"], t["end"]) for t in found))
