"""Connections that say nothing, or stop in the middle, are let go; those that are at work are not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from support.gateway_app import served
from support.gateway_parts import parts, row
from tokenmeter.emit.gateway import make_app
from tokenmeter.emit.gateway.protocol import timed

SHORT_S = 0.3
WAIT_S = 60.0
HEAD = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    made = make_app(parts(body_s=SHORT_S))
    with served(made, http=timed(SHORT_S), timeout_keep_alive=1) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        yield host, int(port)


def answered(address: tuple[str, int], *pieces: bytes) -> bytes:
    """What came back before the other side closed; fails when it does not."""
    with socket.create_connection(address, WAIT_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
        got = b""
        while chunk := connection.recv(65_536):
            got += chunk
        return got


def whole(number: int = 0) -> bytes:
    body = json.dumps(row(number)).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"POST /v1/ev", b""),
        (HEAD, b""),
        (HEAD + b"Content-Length: 100\r\n\r\n{", b"408"),
        (whole(), b"202"),
        (whole() + b"POST", b"202"),
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "idle after an answer", "half of the second request"],
)
def test_who_stops_is_let_go(address: tuple[str, int], sent: bytes, status: bytes) -> None:
    got = answered(address, sent)
    assert got.partition(b" ")[2][:3] == status


def test_who_is_slow_but_at_work_is_not() -> None:
    """The control: three requests on one connection, in all longer than a head may take, each sooner."""
    allowed_s = 2.0
    with served(make_app(parts()), http=timed(allowed_s)) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), WAIT_S) as connection:
            for number in range(3):
                time.sleep(allowed_s * 0.4)
                connection.sendall(whole(number))
                assert b" 202 " in connection.recv(65_536)
