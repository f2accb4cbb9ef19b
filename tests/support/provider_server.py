"""A local HTTP server that answers as providers do, in the shapes of their references: real sockets, real clients.

The model's name chooses what happens: ``fails-429`` answers that status, ``breaks`` drops the connection in the middle
of a stream, ``endless`` streams until the caller hangs up, anything else answers properly.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHAT_USAGE = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0},
}
CHAT_TOKENS = {
    "input_tokens": 2006,
    "cached_input_tokens": 1920,
    "output_tokens": 300,
    "reasoning_tokens": 192,
}
RESPONSES_USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 0},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}
RESPONSES_TOKENS = {"input_tokens": 36, "cached_input_tokens": 12, "output_tokens": 87, "reasoning_tokens": 64}
MESSAGE_USAGE = {
    "input_tokens": 25,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 60,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
    "output_tokens": 503,
    "output_tokens_details": {"thinking_tokens": 100},
    "service_tier": "standard",
}
MESSAGE_TOKENS = {
    "input_tokens": 1085,
    "cached_input_tokens": 1000,
    "cache_write_tokens": 20,
    "cache_write_1h_tokens": 40,
    "output_tokens": 503,
    "reasoning_tokens": 100,
}
PIECES = 5
"""Text pieces of a streamed answer."""
TOOL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}


class ProviderServer:
    """Serves from construction to close(). ``requests``: (path, body) of each; ``hung_up`` counts callers gone."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.hung_up = 0
        outer = self

        class Handler(_Handler):
            server_of_tests = outer

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who hangs up between two requests is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_tests: ProviderServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        is_json = "json" in self.headers.get("content-type", "")
        body = json.loads(raw) if is_json and raw else {"form": len(raw)}
        self.server_of_tests.requests.append((self.path, body))
        model = str(body.get("model", "m"))
        if model.startswith("fails-"):
            self._send(int(model.removeprefix("fails-")), {"error": {"type": "t", "message": "no", "code": "c"}})
            return
        streamed = body.get("stream") is True
        path = self.path.split("?")[0]
        if path.endswith("/chat/completions"):
            self._stream(chat_chunks(body), done=True) if streamed else self._send(200, chat(body))
        elif path.endswith("/completions"):
            self._stream(completion_chunks(body), done=True) if streamed else self._send(200, completion(body))
        elif path.endswith("/responses"):
            self._stream(response_events(body), named=True) if streamed else self._send(200, response(body))
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

    def _send(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
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
        except OSError:
            self.server_of_tests.hung_up += 1
            self.close_connection = True
        except _Broken:
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class _Broken(Exception):
    """The connection ends here."""


def _pieces(body: dict[str, Any]) -> Iterator[int]:
    model = str(body.get("model"))
    number = 0
    while number < PIECES or model == "endless":
        yield number
        number += 1
        if model == "breaks" and number == 2:
            raise _Broken
        if model == "endless":
            time.sleep(0.002)


def chat(body: dict[str, Any]) -> dict[str, Any]:
    answer = {"role": "assistant", "content": "SECRET answer", "tool_calls": [TOOL] if body.get("tools") else None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_741_569_952,
        "model": body["model"],
        "service_tier": "default",
        "choices": [{"index": 0, "message": answer, "finish_reason": "tool_calls" if body.get("tools") else "stop"}],
        "usage": CHAT_USAGE,
    }


def chat_chunks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> dict[str, Any]:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        return {**head, "choices": choices, **({"usage": usage} if asked else {})}

    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    for number in _pieces(body):
        yield chunk(
            [{"index": 0, "delta": {"role": "assistant", "content": f"SECRET {number}"}, "finish_reason": None}]
        )
    if body.get("tools"):
        yield chunk([{"index": 0, "delta": {"tool_calls": [{"index": 0, **TOOL}]}, "finish_reason": None}])
    yield chunk([{"index": 0, "delta": {}, "finish_reason": "tool_calls" if body.get("tools") else "stop"}])
    if asked:
        yield chunk([], CHAT_USAGE)


def completion(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"text": "SECRET", "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }


def completion_chunks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
    for number in _pieces(body):
        yield {**head, "choices": [{"text": str(number), "index": 0, "logprobs": None, "finish_reason": None}]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": completion(body)["usage"]}


def response(body: dict[str, Any], status: str = "completed", usage: dict[str, Any] | None = None) -> dict[str, Any]:
    text = {"type": "output_text", "text": "SECRET", "annotations": []}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": body["model"],
        "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE if status == "completed" else usage,
    }


def response_events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "sequence_number": 0, "response": response(body, "in_progress")}
    for number in _pieces(body):
        yield {
            "type": "response.output_text.delta",
            "sequence_number": number + 1,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "SECRET",
            "logprobs": [],
        }
    yield {"type": "response.completed", "sequence_number": 99, "response": response(body)}


def embedding(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"object": "embedding", "embedding": [0.1, 0.2], "index": 0}],
        "model": body["model"],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }


def transcription() -> dict[str, Any]:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    return {"text": "SECRET", "usage": {**usage, "input_token_details": {"text_tokens": 4, "audio_tokens": 10}}}


def images() -> dict[str, Any]:
    details = {"text_tokens": 10, "image_tokens": 40}
    usage = {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50, "input_tokens_details": details}
    return {"created": 1, "data": [{"b64_json": "AA=="}], "usage": usage}


def message(body: dict[str, Any]) -> dict[str, Any]:
    tool = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [tool] if body.get("tools") else [{"type": "text", "text": "SECRET"}],
        "stop_reason": "tool_use" if body.get("tools") else "end_turn",
        "stop_sequence": None,
        "usage": MESSAGE_USAGE,
    }


def message_events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**message(body), "content": [], "stop_reason": None}
    begun["usage"] = {**MESSAGE_USAGE, "output_tokens": 1, "output_tokens_details": None}
    yield {"type": "message_start", "message": begun}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for _ in _pieces(body):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "SECRET"}}
    yield {"type": "content_block_stop", "index": 0}
    usage = {"output_tokens": 503, "output_tokens_details": {"thinking_tokens": 100}}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


@contextlib.contextmanager
def provider_server() -> Iterator[ProviderServer]:
    server = ProviderServer()
    try:
        yield server
    finally:
        server.close()
