"""A request as the engine sees it, and its answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from tokenmeter.store.users import User

SESSION_SECONDS = 60.0


@dataclass(frozen=True)
class External:
    """A table that a client sends along with its query: ``structure`` as in ``a Int64, b String``."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True)
class Query:
    """One request. ``text`` may go on with the first of an insert's data; ``data`` is the rest of it, or empty."""

    text: bytes
    data: IO[bytes]
    user: User
    database: str | None = None
    """None: the session's own."""
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    readonly: bool = False
    session_id: str = ""
    session_seconds: float = SESSION_SECONDS
    session_check: bool = False
    external: tuple[External, ...] = ()
    query_id: str = ""
    protocol_version: int = 0
    """Of Native blocks; 0: as the engine writes them."""
    on_progress: Callable[[dict[str, int]], None] | None = None
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names this request alone, whatever query_id its client chose."""


@dataclass
class Answer:
    """Bytes in ``format``, piece by piece; the rows are known of an answer in one piece, and of inserts.

    ``format`` is empty of what answers with nothing.
    """

    pieces: Iterator[bytes]
    format: str
    rows_read: int = 0
    bytes_read: int = 0
    rows_written: int = 0
    bytes_written: int = 0
