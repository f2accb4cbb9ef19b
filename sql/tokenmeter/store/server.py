"""ClickHouse's HTTP protocol over the embedded engine, so that every client speaks to it as to a real server.

    python -m tokenmeter.store.server --data DIR --port 8123 --users users.json

A 200 for an insert means that it is on disk: ``kill -9`` after it loses nothing. Starlette and uvicorn speak HTTP; here
is what ClickHouse adds to it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote_to_bytes

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tokenmeter.events.errors import TokenmeterError
from tokenmeter.store.body import BODY_BYTES_MAX, BodyError, compressed, decompressed, form_fields
from tokenmeter.store.embedded import SESSION_SECONDS, Answer, EmbeddedClickHouse, Query
from tokenmeter.store.engine_error import STD_EXCEPTION, UNKNOWN, EngineError
from tokenmeter.store.parsed import QUERY_BYTES_MAX
from tokenmeter.store.users import User, authenticate, load

_log = logging.getLogger(__name__)

REQUESTS_MAX = 128
"""Requests that run at once; further ones wait."""
MEMORY_BYTES_MAX = 16 << 20
"""A larger body waits in a file that has no name."""
WHOLE_BYTES_MAX = 1 << 20
"""An answer up to here is sent with its length, and its error with a status; a larger one is streamed."""
READ_BYTES_MAX = 1 << 20
NICENESS = 10
"""It stands back, on a busy machine, behind the workers on which alerts depend."""
KEEP_ALIVE_S = 60
"""An idle connection is closed after this: later than clients do it, who else send into one that is just closing."""
_NOT_SETTINGS = frozenset(
    (
        *("query", "query_id", "database", "default_format", "user", "password", "quota_key", "role"),
        *("session_id", "session_timeout", "session_check", "client_protocol_version"),
        *("compress", "decompress", "enable_http_compression", "http_zlib_compression_level", "readonly"),
        *("buffer_size", "wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms"),
    )
)
"""URL parameters that speak to the HTTP server, not to the engine."""
_ALWAYS = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Server-Display-Name": "tokenmeter"}
_TRUE = ("1", "true")


class Service:
    """Answers requests; see ``app``."""

    def __init__(self, engine: EmbeddedClickHouse, users: Mapping[str, User]) -> None:
        self._engine = engine
        self._users = users
        self._running = anyio.CapacityLimiter(REQUESTS_MAX)

    async def ping(self, request: Request) -> Response:
        return PlainTextResponse("Ok.\n", headers=_ALWAYS)

    async def query(self, request: Request) -> Response:
        """One query. The user is known before the body is read."""
        try:
            url = _parameters(request.scope["query_string"])
            user = authenticate(self._users, request.headers, url)
            if user is None:
                raise EngineError(
                    516,
                    "Code: 516. DB::Exception: Authentication failed: password is incorrect, or there is no user with "
                    "such name. (AUTHENTICATION_FAILED)",
                )
            if request.method == "GET" and not url.get("query", "").strip():
                return PlainTextResponse("Ok.\n", headers=_ALWAYS)
            with ExitStack() as held:
                sent = held.enter_context(_spool())
                await _receive(request, sent)
                response = await anyio.to_thread.run_sync(
                    self._answer, request, url, user, sent, held, limiter=self._running
                )
                if isinstance(response, StreamingResponse):
                    response.body_iterator = _closing(response.body_iterator, held.pop_all())
                return response
        except EngineError as error:
            if error.code == UNKNOWN:
                _log.exception("the engine failed without a code")
            return _failed(error)
        except (BodyError, UnicodeDecodeError) as error:
            return _failed(EngineError(27, f"Code: 27. DB::Exception: {error} (CANNOT_PARSE_INPUT_ASSERTION_FAILED)"))
        except ClientDisconnect:
            raise
        except Exception as error:
            # Of neither the engine nor the request: its kind for the client, its place for our log.
            _log.exception("a request failed")
            return _failed(
                EngineError(STD_EXCEPTION, f"Code: {STD_EXCEPTION}. DB::Exception: {error!r} (STD_EXCEPTION)")
            )

    def _answer(self, request: Request, url: dict[str, str], user: User, sent: IO[bytes], held: ExitStack) -> Response:
        """Runs in a thread. What an answer that is streamed still needs is left to ``held``."""
        began = time.monotonic()
        body = held.enter_context(_spool())
        size = 0
        for piece in decompressed(_pieces(sent), request.headers.get("Content-Encoding", "")):
            size += len(piece)
            if size > BODY_BYTES_MAX:
                raise BodyError(f"the body is larger than {BODY_BYTES_MAX} bytes")
            body.write(piece)
        body.seek(0)
        content_type = request.headers.get("Content-Type", "")
        if content_type.lower().startswith("multipart/form-data"):
            url = {**url, **form_fields(body.read(), content_type)}
        answer = held.enter_context(self._engine.run(_query(request, url, user, body)))
        pieces, first = answer.pieces, bytearray()
        for piece in pieces:
            first += piece
            if len(first) > WHOLE_BYTES_MAX:
                break
        else:
            pieces = iter(())
        headers = {
            **_ALWAYS,
            "X-ClickHouse-Format": answer.format,
            "X-ClickHouse-Query-Id": url.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Summary": _summary(answer, began),
            "Content-Type": "application/octet-stream",
        }
        streamed = len(first) > WHOLE_BYTES_MAX
        if url.get("enable_http_compression") in _TRUE and first and not streamed:
            data, encoding = compressed(bytes(first), request.headers.get("Accept-Encoding", ""))
            return Response(data, headers={**headers, **({"Content-Encoding": encoding} if encoding else {})})
        if not streamed:
            return Response(bytes(first), headers=headers)
        return StreamingResponse(iterate_in_threadpool(_joined(bytes(first), pieces)), headers=headers)


@contextmanager
def _spool() -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX) as spool:
        yield spool


def _summary(answer: Answer, began: float) -> str:
    figures = {"read_rows": answer.rows_read, "written_rows": answer.rows_written, "result_rows": 0}
    elapsed_ns = int((time.monotonic() - began) * 1e9)
    return json.dumps({name: str(value) for name, value in {**figures, "elapsed_ns": elapsed_ns}.items()})


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


async def _closing(pieces: Any, held: ExitStack) -> AsyncIterator[bytes]:
    """The rest of an answer; also when the client goes away, what it held is given back and the query cancelled."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(held.close)


def _parameters(query_string: bytes) -> dict[str, str]:
    """Raises UnicodeDecodeError for what is not UTF-8: it would be stored as something else."""
    found = {}
    for part in filter(None, query_string.split(b"&")):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        text = unquote_to_bytes(value).decode("utf-8")
        found[unquote_to_bytes(name).decode("utf-8")] = text
    if any(character in found.get("query_id", "") for character in "\r\n\0"):
        raise BodyError("query_id must be one line")
    return found


async def _receive(request: Request, sent: IO[bytes]) -> None:
    """The body as it is on the wire; raises ClientDisconnect when it is shorter than it said."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise BodyError(f"the body is larger than {BODY_BYTES_MAX} bytes")
        await anyio.to_thread.run_sync(sent.write, piece) if size > MEMORY_BYTES_MAX else sent.write(piece)
    sent.seek(0)


def _pieces(sent: IO[bytes]) -> Iterator[bytes]:
    while piece := sent.read(READ_BYTES_MAX):
        yield piece


def _query(request: Request, url: Mapping[str, str], user: User, body: IO[bytes]) -> Query:
    """The statement is in the URL, in the body, or begins in the one and ends in the other."""
    text = url.get("query", "").encode()
    if text.strip() and not text.endswith(b"\n"):
        text += b"\n"
    text += body.read(QUERY_BYTES_MAX)
    return Query(
        text=text,
        data=body,
        user=user,
        database=url.get("database") or request.headers.get("X-ClickHouse-Database") or "default",
        settings={k: v for k, v in url.items() if k not in _NOT_SETTINGS and not k.startswith("param_")},
        params={k[len("param_") :]: v for k, v in url.items() if k.startswith("param_")},
        default_format=url.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated",
        readonly=request.method == "GET" or url.get("readonly", "0") not in ("", "0"),
        session_id=url.get("session_id", ""),
        session_seconds=float(url.get("session_timeout") or SESSION_SECONDS),
        session_check=url.get("session_check") in _TRUE,
    )


def _failed(error: EngineError) -> Response:
    headers = {**_ALWAYS, "X-ClickHouse-Exception-Code": str(error.code)}
    return PlainTextResponse(error.message, error.status, headers)


async def _gone(request: Request, error: Exception) -> Response:
    """The client went away within its body: nothing was run and nobody reads this."""
    return PlainTextResponse("", 400)


def app(engine: EmbeddedClickHouse, users: Mapping[str, User]) -> Starlette:
    """The ASGI application."""
    service = Service(engine, users)
    return Starlette(
        routes=[
            Route("/ping", service.ping, methods=["GET", "HEAD"]),
            Route("/replicas_status", service.ping, methods=["GET", "HEAD"]),
            Route("/", service.query, methods=["GET", "HEAD", "POST"]),
        ],
        exception_handlers={ClientDisconnect: _gone},
    )


def _stand_back() -> None:
    """Lower this process, and its session if it is its own: Linux may weigh sessions first, "autogroup" in sched(7)."""
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICENESS), "utf-8")


def serve(data: Path, host: str, port: int, users_file: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    _stand_back()
    known = load(users_file)
    application = app(EmbeddedClickHouse(data), known)
    listener = socket.create_server((host, port), backlog=512)
    # Given on to each connection: an answer must not wait for the acknowledgement of the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
    )
    server = uvicorn.Server(config)
    print(f"ClickHouse {host}:{listener.getsockname()[1]} over {data}", flush=True)
    server.run([listener])
    # The engine's own threads outlive the interpreter's shutdown and can hang it; every acknowledged insert is on disk.
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tokenmeter.store.server", description="The embedded server.")
    parser.add_argument("--data", type=Path, required=True, help="data directory; one process owns it")
    parser.add_argument("--users", type=Path, required=True, help="JSON file of users")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    try:
        serve(given.data, given.host, given.port, given.users)
    except TokenmeterError as error:
        sys.exit(f"clickhouse: {error}")
    except OSError as error:
        sys.exit(f"clickhouse: cannot serve on {given.host}:{given.port}: {error.strerror}")


if __name__ == "__main__":
    main()
