"""A local HTTP server that answers as providers do: real sockets, real clients.

The model's name chooses what happens: ``fails-429`` answers that status, ``slow`` answers when the server closes,
``garbage`` is no JSON, ``cut-short`` ends before its length; for ``strict-422`` any field that STRICT does not name is
answered by that status, and by ``quiet-400`` without saying which. What else a model's name does: see provider_answers.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.provider_answers import (
    Broken,
    Failure,
    chat,
    chat_chunks,
    completion,
    completion_chunks,
    embedding,
    images,
    message,
    message_events,
    response,
    response_events,
    transcription,
)

STRICT = frozenset({"model", "messages", "prompt", "input", "stream", "max_tokens", "max_retries"})
"""The fields that callers of these tests write."""
FETCHES_UNTIL_OVER = 2
"""How often a background response is fetched until it is over."""


class ProviderServer:
    """Serves from construction to close(). ``requests``: (path, body) of each; ``hung_up`` counts callers gone."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.hung_up = 0
        self.background: dict[str, dict[str, Any]] = {}
        self.fetches: dict[str, int] = {}
        self.closing = threading.Event()
        outer = self

        class Handler(_Handler):
            server_of_tests = outer

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who hangs up between two requests is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the acknowledgement of its head
    server_of_tests: ProviderServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        is_json = "json" in self.headers.get("content-type", "")
        body = json.loads(raw) if is_json and raw else {"form": len(raw)}
        self.server_of_tests.requests.append((self.path, body))
        if not self._peculiar(str(body.get("model", "m")), body):
            self._answer(self.path.split("?")[0], body)

    def do_GET(self) -> None:
        self.server_of_tests.requests.append((self.path, {}))
        path, _, query = self.path.partition("?")
        identity = path.rsplit("/", 1)[-1]
        if "stream=true" in query and identity in self.server_of_tests.background:
            self._stream(response_events(self.server_of_tests.background[identity], identity), named=True)
        else:
            self._background(identity)

    def _peculiar(self, model: str, body: dict[str, Any]) -> bool:
        """Whether the model's name says that there is no proper answer, which is then given."""
        how, _, status = model.partition("-")
        if how == "fails":
            self._send(int(status), {"error": {"type": "t", "message": "no", "code": "c"}})
        elif how in ("strict", "quiet") and set(body) - STRICT:
            named = f"unknown fields: {sorted(set(body) - STRICT)}" if how == "strict" else "bad request"
            self._send(int(status), {"error": {"type": "t", "message": named, "code": "c"}})
        elif model == "slow":
            self.server_of_tests.closing.wait(30)
            self.close_connection = True
        elif model in ("garbage", "cut-short"):
            self._send(200, {"SECRET": model}, short_by=5 if model == "cut-short" else 0, garbage=model == "garbage")
        else:
            return False
        return True

    def _background(self, identity: str, status: str = "in_progress") -> None:
        server = self.server_of_tests
        body = server.background.get(identity)
        if body is None:
            self._send(404, {"error": {"message": "no such response"}})
            return
        server.fetches[identity] = server.fetches.get(identity, 0) + 1
        if status != "cancelled" and (not body.get("background") or server.fetches[identity] >= FETCHES_UNTIL_OVER):
            status = "completed"
        self._send(200, {**response(body, status, identity), "completed_at": 61 if status == "completed" else None})

    def _answer(self, path: str, body: dict[str, Any]) -> None:
        streamed = body.get("stream") is True
        if path.endswith("/chat/completions"):
            self._stream(chat_chunks(body), done=True) if streamed else self._send(200, chat(body))
        elif path.endswith("/completions"):
            self._stream(completion_chunks(body), done=True) if streamed else self._send(200, completion(body))
        elif path.endswith("/responses"):
            identity = f"resp_{len(self.server_of_tests.background) + 1}"
            self.server_of_tests.background[identity] = body
            if streamed:
                self._stream(response_events(body, identity), named=True)
                return
            self._send(200, response(body, "queued" if body.get("background") else "completed", identity))
        elif path.endswith("/cancel"):
            self._background(path.split("/")[-2], "cancelled")
        elif path.endswith("/embeddings"):
            self._send(200, embedding(body))
        elif path.endswith("/audio/transcriptions"):
            self._send(200, transcription())
        elif path.endswith("/images/generations"):
            self._send(200, images())
        elif path.endswith("/messages"):
            self._stream(message_events(body), named=True) if streamed else self._send(200, message(body))
        elif path.endswith("/messages/count_tokens"):
            self._send(200, {"input_tokens": 2095})
        else:
            self._send(404, {"error": {"message": "no such path"}})

    def _send(self, status: int, document: dict[str, Any], *, short_by: int = 0, garbage: bool = False) -> None:
        data = b"{SECRET" if garbage else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data) + short_by))
        self.close_connection = self.close_connection or bool(short_by)
        self.send_header("request-id", "req_1")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[dict[str, Any]], *, named: bool = False, done: bool = False) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for event in events:
                name = f"event: {event['type']}\n" if named else ""
                self._chunk(f"{name}data: {json.dumps(event)}\n\n".encode())
            self._chunk(b"data: [DONE]\n\n" if done else b"")
            self._chunk(b"") if done else None
        except Failure:
            self._chunk(b'data: {"error": {"message": "SECRET overloaded", "type": "server_error"}}\n\n')
            self._chunk(b"")
        except OSError:
            self.server_of_tests.hung_up += 1
            self.close_connection = True
        except Broken:
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


@contextlib.contextmanager
def provider_server() -> Iterator[ProviderServer]:
    server = ProviderServer()
    try:
        yield server
    finally:
        server.close()
