"""The ClickHouse that the boards read, as Superset reaches it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from tokenmeter.store import Misconfigured

NAME = "tokenmeter"
SCHEMA = "boards"


@dataclass(frozen=True)
class Database:
    """The user should be a read-only one."""

    url: str
    user: str
    password: str

    def uri(self) -> str:
        """For SQLAlchemy. Raises Misconfigured when the URL has no host."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured(f"{self.url!r} is no ClickHouse URL", hint="check TOKENMETER_CLICKHOUSE_URL")
        secure = parts.scheme == "https"
        port = parts.port or (8443 if secure else 8123)
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"clickhousedb://{login}@{parts.hostname}:{port}/{SCHEMA}" + ("?secure=true" if secure else "")
