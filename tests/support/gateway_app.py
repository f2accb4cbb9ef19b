"""A small OpenAI-compatible gateway as somebody else would write it: it forwards what it gets, JSON or events."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def gateway_app(upstream: str) -> Starlette:
    """Forwards every POST to ``upstream``."""
    client = httpx.AsyncClient(base_url=upstream, timeout=10)

    async def forward(request: Request) -> Response:
        body = await request.body()
        headers = {"content-type": request.headers["content-type"]}
        asked = client.build_request("POST", request.url.path, content=body, headers=headers)
        answer = await client.send(asked, stream=True)
        kind = answer.headers["content-type"]
        if not kind.startswith("text/event-stream"):
            return Response(await answer.aread(), answer.status_code, media_type=kind)

        async def events() -> AsyncIterator[bytes]:
            try:
                async for data in answer.aiter_bytes(chunk_size=97):  # never on the boundary of an event
                    yield data
            finally:
                await answer.aclose()

        return StreamingResponse(events(), media_type=kind)

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})

    async def explodes(request: Request) -> Response:
        raise RuntimeError("SECRET")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/v1/models", models),
            Route("/explodes/v1/chat/completions", explodes, methods=["POST"]),
            Route("/{path:path}", forward, methods=["POST"]),
        ],
    )


@contextlib.contextmanager
def served(app: Any, **settings: Any) -> Iterator[str]:
    """The app behind a real uvicorn in a thread, with further settings of it; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="auto", **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
