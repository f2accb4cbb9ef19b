"""ClickHouse's HTTP protocol over the embedded engine, so that every client speaks to it as to a real server.

    python -m tokenmeter.store.server --data DIR --port 8123 --users users.json

A 200 for an insert means that it is on disk: ``kill -9`` after it loses nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

from tokenmeter.events.errors import TokenmeterError
from tokenmeter.store.embedded import Answer, EmbeddedClickHouse, EngineError, Query
from tokenmeter.store.users import User, authenticate, load

BODY_BYTES_MAX = 1 << 30
"""A request body, as sent and as decompressed."""
AUTHENTICATION_FAILED = 516
_NOT_SETTINGS = frozenset(
    (
        *("query", "query_id", "database", "default_format", "user", "password", "quota_key", "role"),
        *("session_id", "session_timeout", "session_check", "client_protocol_version"),
        *("compress", "decompress", "enable_http_compression", "http_zlib_compression_level"),
        *("buffer_size", "wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms"),
    )
)
"""URL parameters that speak to the HTTP server, not to the engine."""


def decompressed(body: bytes, encoding: str) -> bytes:
    """A request body as it was before ``Content-Encoding``. Raises ValueError for damage or an unknown encoding."""
    try:
        match encoding:
            case "" | "identity":
                return body
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
            case "lz4":
                return bytes(lz4.frame.decompress(body))
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    except (OSError, zlib.error, RuntimeError, zstandard.ZstdError, EOFError) as error:
        raise ValueError(f"the body is not {encoding}: {error}") from error
    raise ValueError(f"Content-Encoding {encoding!r} is not supported: use gzip, deflate, lz4 or zstd")


def compressed(body: bytes, accepted: str) -> tuple[bytes, str]:
    """(body, Content-Encoding) in the best encoding the client accepts."""
    offered = {part.split(";")[0].strip() for part in accepted.split(",")}
    if "lz4" in offered:
        return bytes(lz4.frame.compress(body)), "lz4"
    if "zstd" in offered:
        return zstandard.compress(body), "zstd"
    if "gzip" in offered:
        return gzip.compress(body, 3), "gzip"
    return body, ""


_INSERT_HEAD = re.compile(rb"^\s*INSERT\s+INTO\s.{0,65536}?\sFORMAT\s+\w+[ \t]*;?\r?\n", re.IGNORECASE | re.DOTALL)


def _split_insert(body: bytes) -> tuple[str, bytes]:
    """(query, data) of a body that carries both: the data of an insert begins on the line after FORMAT."""
    head = _INSERT_HEAD.match(body)
    if head is None:
        return body.decode(), b""
    return head.group().decode(), body[head.end() :]


def form_fields(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a ``multipart/form-data`` body: what clients put there when a URL would be too long.

    Raises ValueError when it is no form, or carries a file (external tables are not supported).
    """
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise ValueError("the body is not multipart/form-data")
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None or not isinstance(name, str):
            raise ValueError("a form may carry the query and its parameters, and no files")
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        fields[name] = payload.decode()
    return fields


class Handler(BaseHTTPRequestHandler):
    """One connection; ``engine`` and ``users`` are set on the class by ``serve``."""

    protocol_version = "HTTP/1.1"
    engine: EmbeddedClickHouse
    users: Mapping[str, User]

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: a query may carry values."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path in ("/ping", "/replicas_status"):
            self._send(200, b"Ok.\n")
        else:
            self.do_POST()

    def do_POST(self) -> None:
        url = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            body = decompressed(self._body(), self.headers.get("Content-Encoding", ""))
            content_type = self.headers.get("Content-Type", "")
            if content_type.lower().startswith("multipart/form-data"):
                url, body = {**url, **form_fields(body, content_type)}, b""
        except ValueError as error:
            self.close_connection = True
            self._fail(400, 27, f"Code: 27. DB::Exception: {error} (CANNOT_PARSE_INPUT_ASSERTION_FAILED)")
            return
        user = authenticate(self.users, dict(self.headers.items()), url)
        if user is None:
            self._fail(
                403,
                AUTHENTICATION_FAILED,
                "Code: 516. DB::Exception: Authentication failed: password is incorrect, or there is no user with such "
                "name. (AUTHENTICATION_FAILED)",
            )
            return
        started = time.monotonic()
        try:
            answer = self.engine.run(self._query(url, body, user))
        except EngineError as error:
            self._fail(404 if error.code in (60, 81) else 500, error.code, error.message)
            return
        except UnicodeDecodeError as error:
            self._fail(400, 27, f"Code: 27. DB::Exception: the query is not UTF-8: {error} (BAD_ARGUMENTS)")
            return
        self._answer(url, answer, int((time.monotonic() - started) * 1e9))

    def _query(self, url: Mapping[str, str], body: bytes, user: User) -> Query:
        text = url.get("query", "")
        if not text.strip():
            text, body = _split_insert(body)
        elif body and text.lstrip()[:6].upper() != "INSERT":
            text, body = text + "\n" + body.decode(), b""
        return Query(
            text=text,
            body=body,
            database=url.get("database") or self.headers.get("X-ClickHouse-Database") or "default",
            settings={k: v for k, v in url.items() if k not in _NOT_SETTINGS and not k.startswith("param_")},
            params={k[len("param_") :]: v for k, v in url.items() if k.startswith("param_")},
            default_format=url.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated",
            readonly=user.readonly or self.command == "GET",
        )

    def _body(self) -> bytes:
        """The whole body, chunked or not. Raises ValueError beyond BODY_BYTES_MAX."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                if len(parts) + size > BODY_BYTES_MAX:
                    raise ValueError(f"the body is larger than {BODY_BYTES_MAX} bytes")
                parts += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(parts)
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_BYTES_MAX:
            raise ValueError(f"the body is larger than {BODY_BYTES_MAX} bytes")
        return self.rfile.read(size) if size else b""

    def _answer(self, url: Mapping[str, str], answer: Answer, elapsed_ns: int) -> None:
        summary = {
            "read_rows": str(answer.rows_read),
            "written_rows": str(answer.rows_written),
            "result_rows": "0",
            "elapsed_ns": str(elapsed_ns),
        }
        headers = {
            "X-ClickHouse-Format": answer.format,
            "X-ClickHouse-Query-Id": url.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Summary": json.dumps(summary),
            "Content-Type": "application/octet-stream",
        }
        data = answer.data
        if url.get("enable_http_compression") in ("1", "true") and data:
            data, encoding = compressed(data, self.headers.get("Accept-Encoding", ""))
            if encoding:
                headers["Content-Encoding"] = encoding
        self._send(200, data, headers)

    def _fail(self, status: int, code: int, message: str) -> None:
        self._send(status, message.encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Server-Display-Name", "tokenmeter")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(data: Path, host: str, port: int, users_file: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    known = load(users_file)
    handler = type("BoundHandler", (Handler,), {"engine": EmbeddedClickHouse(data), "users": known})
    server = _Server((host, port), handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"ClickHouse {host}:{server.server_address[1]} over {data}", flush=True)
    server.serve_forever()
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
