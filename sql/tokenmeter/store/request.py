"""What a request over HTTP asks for: its parameters, its body, and the query made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from tokenmeter.store.blocks import decompressed_blocks
from tokenmeter.store.body import BODY_BYTES_MAX, BodyError, decompressed, form
from tokenmeter.store.native_walk import parsed_type
from tokenmeter.store.parsed import QUERY_BYTES_MAX
from tokenmeter.store.query import SESSION_SECONDS, External, Query
from tokenmeter.store.users import User

MEMORY_BYTES_MAX = 16 << 20
"""A larger body waits in a file that has no name."""
READ_BYTES_MAX = 1 << 20
TRUE = ("1", "true")
_NOT_SETTINGS = frozenset(
    (
        *("query", "query_id", "database", "default_format", "user", "password", "quota_key", "role"),
        *("session_id", "session_timeout", "session_check", "client_protocol_version"),
        *("compress", "decompress", "enable_http_compression", "http_zlib_compression_level", "readonly"),
        *("buffer_size", "wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms"),
    )
)
"""URL parameters that speak to the HTTP server, not to the engine."""
_OF_TABLES = ("_structure", "_types", "_format")
"""How the parameters of an external table end."""


@contextmanager
def spool() -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX) as file:
        yield file


def parameters(query_string: bytes) -> dict[str, str]:
    """Raises UnicodeDecodeError for what is not UTF-8: it would be stored as something else."""
    found = {}
    for part in filter(None, query_string.split(b"&")):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        text = unquote_to_bytes(value).decode("utf-8")
        found[unquote_to_bytes(name).decode("utf-8")] = text
    if any(character in found.get("query_id", "") for character in "\r\n\0"):
        raise BodyError("query_id must be one line")
    return found


def body_of(request: Request, url: Mapping[str, str], sent: IO[bytes], into: IO[bytes]) -> None:
    """The body as it was before it was compressed, in either way or both. Raises BodyError."""
    pieces: Iterator[bytes] = iter(lambda: sent.read(READ_BYTES_MAX), b"")
    pieces = decompressed(pieces, request.headers.get("Content-Encoding", ""))
    if url.get("decompress") in TRUE:
        pieces = decompressed_blocks(pieces)
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise BodyError(f"the body is larger than {BODY_BYTES_MAX} bytes")
        into.write(piece)
    into.seek(0)


def query(
    request: Request,
    url: Mapping[str, str],
    user: User,
    body: IO[bytes],
    mark: str,
    on_progress: Callable[[dict[str, int]], None] | None,
) -> Query:
    """The statement is in the URL, in the body, or begins in the one and ends in the other."""
    content_type = request.headers.get("Content-Type", "")
    external: tuple[External, ...] = ()
    if content_type.lower().startswith("multipart/form-data"):
        fields, files = form(body.read(), content_type)
        url = {**url, **fields}
        external = tuple(_external(name, data, url) for name, data in files.items())
    text = url.get("query", "").encode()
    if text.strip() and not text.endswith(b"\n"):
        text += b"\n"
    text += body.read(QUERY_BYTES_MAX)
    of_tables = {table.name + end for table in external for end in _OF_TABLES}
    return Query(
        text=text,
        data=body,
        user=user,
        database=url.get("database") or request.headers.get("X-ClickHouse-Database") or None,
        settings={k: v for k, v in url.items() if k not in _NOT_SETTINGS | of_tables and not k.startswith("param_")},
        params={k[len("param_") :]: v for k, v in url.items() if k.startswith("param_")},
        default_format=url.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated",
        readonly=request.method in ("GET", "HEAD") or url.get("readonly", "0") not in ("", "0"),
        session_id=url.get("session_id", ""),
        session_seconds=float(url.get("session_timeout") or SESSION_SECONDS),
        session_check=url.get("session_check") in TRUE,
        external=external,
        query_id=url.get("query_id", ""),
        protocol_version=int(url.get("client_protocol_version") or 0),
        on_progress=on_progress,
        mark=mark,
    )


def _external(name: str, data: bytes, url: Mapping[str, str]) -> External:
    structure = url.get(f"{name}_structure")
    if structure is None:
        types = url.get(f"{name}_types", "")
        if not types:
            raise BodyError(f"external table {name} has neither {name}_structure nor {name}_types")
        structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(parsed_type(f"Tuple({types})")[1], 1))
    return External(name, structure, url.get(f"{name}_format") or "TabSeparated", data)
