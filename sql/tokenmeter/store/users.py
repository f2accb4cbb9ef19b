"""Who may talk to the embedded server: a JSON file of users with hashed passwords, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenmeter.events.errors import Misconfigured


@dataclass(frozen=True)
class User:
    """``password_sha256`` in hex; a read-only user cannot write, and reads ``databases`` alone."""

    name: str
    password_sha256: str
    readonly: bool = False
    databases: tuple[str, ...] = ("boards",)


def sha256(password: str) -> str:
    """How a password is kept."""
    return hashlib.sha256(password.encode()).hexdigest()


def load(path: Path) -> dict[str, User]:
    """Users by name from ``{"name": {"password_sha256": "…", "readonly": true, "databases": ["boards"]}}``."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return {
            name: User(
                name,
                entry["password_sha256"],
                bool(entry.get("readonly")),
                tuple(entry.get("databases", User.databases)),
            )
            for name, entry in found.items()
        }
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise Misconfigured(f"cannot read ClickHouse users from {path}: {error}") from error


def authenticate(users: Mapping[str, User], headers: Mapping[str, str], url: Mapping[str, str]) -> User | None:
    """The user a request proves to be (headers, Basic or URL, as ClickHouse takes them), or None.

    ``headers`` must not mind the case of their names.
    """
    name, password = url.get("user", "default"), url.get("password", "")
    if "X-ClickHouse-User" in headers:
        name, password = headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    elif headers.get("Authorization", "").startswith("Basic "):
        try:
            name, _, password = base64.b64decode(headers["Authorization"][6:]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
    user = users.get(name)
    known = user.password_sha256 if user else sha256("")
    if hmac.compare_digest(known, sha256(password)) and user is not None:
        return user
    return None
