"""One Superset for all tests of a run, and a REST client that logs in as its browser pages do."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx

from tokenmeter.stack.superset import SupersetNode

REQUEST_TIMEOUT_S = 60.0


def log_in(url: str, user: str, password: str) -> httpx.Response:
    """The answer of the login endpoint, whatever it is."""
    body = {"username": user, "password": password, "provider": "db", "refresh": False}
    return httpx.post(f"{url}/api/v1/security/login", json=body, timeout=REQUEST_TIMEOUT_S)


@contextmanager
def api(node: SupersetNode) -> Iterator[httpx.Client]:
    """A client with a bearer token, a session cookie and the CSRF token that belongs to it."""
    token = log_in(node.url, node.user, node.password).raise_for_status().json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Referer": node.url}
    with httpx.Client(base_url=f"{node.url}/api/v1", headers=headers, timeout=REQUEST_TIMEOUT_S) as client:
        csrf = client.get("/security/csrf_token/").raise_for_status().json()["result"]
        client.headers["X-CSRFToken"] = csrf
        yield client


@cache
def shared_node() -> SupersetNode:
    """Started on first use, stopped when the run ends: it takes ten seconds, every test file can use it."""
    scratch = tempfile.TemporaryDirectory(prefix="tokenmeter-superset-")
    node = SupersetNode(Path(scratch.name) / "superset", Path(scratch.name) / "superset.log")
    atexit.register(scratch.cleanup)
    atexit.register(node.kill)  # runs before the folder is removed
    node.start()
    return node
