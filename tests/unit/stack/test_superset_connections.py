"""Connections that charts share: one question at a time each, none across users, and not more idle than the limit."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any, ClassVar

import pytest

from tokenmeter.stack.superset_venv import SITE


class Opened:
    """A DBAPI connection that knows whether it was really closed."""

    def __init__(self, named: dict[str, Any]) -> None:
        self.named, self.closed = named, False

    def close(self) -> None:
        self.closed = True


class Dialect:
    """As SQLAlchemy's, over ``Opened``."""

    opened: ClassVar[list[Opened]] = []

    @classmethod
    def dbapi(cls) -> Any:
        return cls

    @classmethod
    def connect(cls, **named: Any) -> Opened:
        cls.opened.append(Opened(named))
        return cls.opened[-1]

    def create_connect_args(self, url: Url) -> tuple[list[Any], dict[str, Any]]:
        return [], {"host": url.host, "password": url.password}


class Url:
    """As SQLAlchemy's, of any user."""

    def __init__(self, password: str, backend: str = "clickhousedb") -> None:
        self.host, self.password, self.backend = "here", password, backend

    def get_dialect(self) -> type[Dialect]:
        return Dialect

    def get_backend_name(self) -> str:
        return self.backend


@pytest.fixture(scope="module")
def kept() -> ModuleType:
    """The module, as Superset's own environment loads it: by its file."""
    spec = importlib.util.spec_from_file_location("superset_connections", SITE / "superset_connections.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def nothing_open() -> None:
    Dialect.opened.clear()


def test_a_closed_connection_serves_the_next_and_an_open_one_nobody_else(kept: ModuleType) -> None:
    connections = kept.Connections()
    first = connections.open(Url("a"), {})
    second = connections.open(Url("a"), {})
    assert first is not second, "two questions at once share no connection"
    first.close()
    assert connections.open(Url("a"), {}) is first
    assert len(Dialect.opened) == 2
    assert not any(one.closed for one in Dialect.opened)
    assert all(one.named["autogenerate_session_id"] is False for one in Dialect.opened), "a SET would reach the next"


def test_another_password_or_other_arguments_get_a_connection_of_their_own(kept: ModuleType) -> None:
    connections = kept.Connections()
    connections.open(Url("a"), {}).close()
    assert connections.open(Url("b"), {}).named["password"] == "b"
    assert connections.open(Url("a"), {"query_limit": 5}).named["query_limit"] == 5


def test_the_eldest_is_closed_when_too_many_are_idle(kept: ModuleType) -> None:
    connections = kept.Connections(idle_max=2)
    opened = [connections.open(Url("a"), {}) for _ in range(3)]
    for one in opened:
        one.close()
    assert [one.closed for one in Dialect.opened] == [True, False, False]


@pytest.mark.parametrize(
    ("backend", "source", "ours"),
    [("clickhousedb", "CHART", True), ("clickhousedb", "SQL_LAB", False), ("sqlite", "CHART", False)],
)
def test_sql_lab_and_other_databases_connect_as_always(kept: ModuleType, backend: str, source: str, ours: bool) -> None:
    named = type("Source", (), {"name": source})()
    _, engine = kept.keep_connections(Url("a", backend), {"connect_args": {}}, None, None, named)
    assert ("creator" in engine) is ours
