"""Who cannot use ClickHouse is told why: nobody answers, or the user is refused. Each says what the other must not."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tokenmeter.events.errors import Misconfigured
from tokenmeter.store.client import connect


class Refusing(BaseHTTPRequestHandler):
    """As ClickHouse answers a wrong password."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("X-ClickHouse-Exception-Code", "516")
        self.end_headers()
        self.wfile.write(b"Code: 516. DB::Exception: someone: Authentication failed")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        return


def test_a_store_that_is_away_is_not_said_to_refuse_the_user() -> None:
    with pytest.raises(Misconfigured, match=r"http://127.0.0.1:1 does not answer: .*[Rr]efused") as said:
        connect("http://127.0.0.1:1", "someone", "secret")
    assert "did not accept" not in str(said.value) and "secret" not in str(said.value)


def test_a_refused_user_is_not_said_to_find_nobody() -> None:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(Misconfigured, match=r"did not accept user 'someone': .*Authentication failed") as said:
            connect(f"http://127.0.0.1:{server.server_port}", "someone", "secret")
        server.shutdown()
    assert "does not answer" not in str(said.value) and "secret" not in str(said.value)
