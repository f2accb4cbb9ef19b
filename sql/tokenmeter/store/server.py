"""ClickHouse's HTTP protocol over the embedded engine, so that every client speaks to it as to a real server.

    python -m tokenmeter.store.server --data DIR --port 8123 --users users.json

A 200 for an insert means that it is on disk: ``kill -9`` after it loses nothing. Starlette and uvicorn speak HTTP; here
is what ClickHouse adds to it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tokenmeter.events.errors import TokenmeterError
from tokenmeter.store.answering import ALWAYS, PROGRESS_MS, Progress, in_blocks, summary, telling_errors
from tokenmeter.store.body import BODY_BYTES_MAX, BodyError, compressed
from tokenmeter.store.embedded import EmbeddedClickHouse
from tokenmeter.store.engine_error import STD_EXCEPTION, UNKNOWN, EngineError
from tokenmeter.store.request import MEMORY_BYTES_MAX, TRUE, body_of, parameters, query, spool
from tokenmeter.store.users import User, authenticate, load

_log = logging.getLogger(__name__)

REQUESTS_MAX = 128
"""Requests that run at once; further ones wait."""
WHOLE_BYTES_MAX = 1 << 20
"""An answer up to here is sent with its length, and its error with a status; a larger one is streamed ..."""
STEP_BYTES_MAX = 1 << 20
"""... in steps of this."""
NICENESS = 10
"""It stands back, on a busy machine, behind the workers on which alerts depend."""
KEEP_ALIVE_S = 60
"""An idle connection is closed after this: later than clients do it, who else send into one that is just closing."""
CANCEL_EVERY_S = 0.5
"""A query may be parsed still, and so not be found, when its client goes away."""


class Service:
    """Answers requests; see ``app``."""

    def __init__(self, engine: EmbeddedClickHouse, users: Mapping[str, User]) -> None:
        self._engine = engine
        self._users = users
        self._running = anyio.CapacityLimiter(REQUESTS_MAX)

    async def ping(self, request: Request) -> Response:
        return PlainTextResponse("Ok.\n", headers=ALWAYS)

    async def options(self, request: Request) -> Response:
        return Response(status_code=204, headers={**ALWAYS, "Allow": "GET, HEAD, POST, OPTIONS"})

    async def query(self, request: Request) -> Response:
        """One query. The user is known before the body is read."""
        try:
            url = parameters(request.scope["query_string"])
            user = authenticate(self._users, request.headers, url)
            if user is None:
                raise EngineError(
                    516,
                    "Code: 516. DB::Exception: Authentication failed: password is incorrect, or there is no user with "
                    "such name. (AUTHENTICATION_FAILED)",
                )
            if request.method in ("GET", "HEAD") and not url.get("query", "").strip():
                return PlainTextResponse("Ok.\n", headers=ALWAYS)
            with ExitStack() as held:
                sent = held.enter_context(spool())
                await _receive(request, sent)
                mark = uuid.uuid4().hex
                watching = asyncio.create_task(self._cancel_when_gone(request, mark))
                try:
                    response = await anyio.to_thread.run_sync(
                        self._answer, request, url, user, sent, held, mark, limiter=self._running
                    )
                finally:
                    watching.cancel()
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

    async def _cancel_when_gone(self, request: Request, mark: str) -> None:
        """Ends the query of a client that goes away before it is answered; a streamed answer ends by itself."""
        while (await request.receive())["type"] != "http.disconnect":
            pass
        while True:
            await anyio.to_thread.run_sync(self._engine.cancel, mark)
            await anyio.sleep(CANCEL_EVERY_S)

    def _answer(
        self, request: Request, url: dict[str, str], user: User, sent: IO[bytes], held: ExitStack, mark: str
    ) -> Response:
        """Runs in a thread. What an answer that is streamed still needs is left to ``held``."""
        began = time.monotonic()
        body = held.enter_context(spool())
        body_of(request, url, sent, body)
        wanted = url.get("send_progress_in_http_headers") in TRUE
        progress = Progress(float(url.get("http_headers_progress_interval_ms") or PROGRESS_MS)) if wanted else None
        answer = held.enter_context(self._engine.run(query(request, url, user, body, mark, progress)))
        waits = url.get("wait_end_of_query", "")
        first, rest = _begun(answer.pieces, None if waits in TRUE else 0 if waits else WHOLE_BYTES_MAX)
        whole = b"".join(first) if rest is None else None
        headers = {
            **ALWAYS,
            **({"X-ClickHouse-Format": answer.format} if answer.format else {}),
            "X-ClickHouse-Query-Id": url.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Summary": summary(answer, began, whole),
            "Content-Type": self._engine.content_types.get(answer.format.lower()) or "application/octet-stream",
        }
        if rest is None:
            response = _whole(request, url, b"".join(in_blocks(iter(first), url)), headers)
        else:
            tag = headers["X-ClickHouse-Exception-Tag"] = secrets.token_hex(8)
            streamed = in_blocks(telling_errors(_in_steps(first, rest), tag), url)
            response = StreamingResponse(iterate_in_threadpool(streamed), headers=headers)
        told = progress.headers if progress else ()
        response.raw_headers += [(b"x-clickhouse-progress", one.encode()) for one in told]
        return response


def _begun(pieces: Iterator[bytes], bytes_max: int | None) -> tuple[list[bytes], Iterator[bytes] | None]:
    """(what there is of an answer up to about ``bytes_max``, the rest of it or None)."""
    first, size = [], 0
    for piece in pieces:
        first.append(piece)
        size += len(piece)
        if bytes_max is not None and size > bytes_max:
            return first, pieces
    return first, None


def _whole(request: Request, url: Mapping[str, str], data: bytes, headers: dict[str, str]) -> Response:
    encoding = ""
    if data and url.get("enable_http_compression") in TRUE:
        data, encoding = compressed(data, request.headers.get("Accept-Encoding", ""))
    return Response(data, headers={**headers, **({"Content-Encoding": encoding} if encoding else {})})


def _in_steps(first: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    """The engine's pieces are blocks of rows, however wide: a slow client must not hold many of them in memory."""
    while first:
        yield from _cut(first.pop(0))
    for piece in rest:
        yield from _cut(piece)


def _cut(piece: bytes) -> Iterator[bytes]:
    for at in range(0, len(piece), STEP_BYTES_MAX):
        yield piece[at : at + STEP_BYTES_MAX]


async def _closing(pieces: Any, held: ExitStack) -> AsyncIterator[bytes]:
    """The rest of an answer; also when the client goes away, what it held is given back and the query cancelled."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(held.close)


async def _receive(request: Request, sent: IO[bytes]) -> None:
    """The body as it is on the wire; raises ClientDisconnect when it is shorter than it said."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise BodyError(f"the body is larger than {BODY_BYTES_MAX} bytes")
        await anyio.to_thread.run_sync(sent.write, piece) if size > MEMORY_BYTES_MAX else sent.write(piece)
    sent.seek(0)


def _failed(error: EngineError) -> Response:
    headers = {**ALWAYS, "X-ClickHouse-Exception-Code": str(error.code)}
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
            Route("/", service.options, methods=["OPTIONS"]),
        ],
        exception_handlers={ClientDisconnect: _gone},
    )


def _stand_back(niceness: int) -> None:
    """Lower this process, and its session if it is its own: Linux may weigh sessions first, "autogroup" in sched(7)."""
    os.nice(niceness)
    if niceness and os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness), "utf-8")


def serve(data: Path, host: str, port: int, users_file: Path, niceness: int = NICENESS) -> None:
    """Serve until SIGTERM or SIGINT."""
    _stand_back(niceness)
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
    parser.add_argument("--niceness", type=int, default=NICENESS, help="0: it stands back behind nobody")
    given = parser.parse_args()
    try:
        serve(given.data, given.host, given.port, given.users, given.niceness)
    except TokenmeterError as error:
        sys.exit(f"clickhouse: {error}")
    except OSError as error:
        sys.exit(f"clickhouse: cannot serve on {given.host}:{given.port}: {error.strerror}")


if __name__ == "__main__":
    main()
