"""The SDK gets into Kafka by what it is given, else by the variables, else by the local stack whose address it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokenmeter.events.access import USERS_FILE, Access, Users, client_of

SERVER = "127.0.0.1:19092"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local stack's directory, and no variable but its own."""
    for name in ("USER", "PASSWORD", "SASL_MECHANISM", "TLS", "CA"):
        monkeypatch.delenv(f"TOKENMETER_KAFKA_{name}", raising=False)
    monkeypatch.setenv("TOKENMETER_DATA", str(tmp_path))
    keep(tmp_path)
    return tmp_path


def keep(folder: Path, servers: str = SERVER) -> None:
    folder.mkdir(exist_ok=True)
    document = {"bootstrap": servers, "users": {"producer": "p-word", "reader": "r-word"}}
    (folder / USERS_FILE).write_text(json.dumps(document), "utf-8")


def test_a_local_stack_is_known_by_its_address_and_another_is_offered_nothing(data: Path) -> None:
    found = client_of(SERVER, "producer")
    assert (found["sasl.username"], found["sasl.password"]) == ("producer", "p-word")
    assert found["security.protocol"] == "SASL_PLAINTEXT"
    assert client_of(SERVER, "reader")["sasl.password"] == "r-word"
    assert client_of("127.0.0.1:19093", "producer") == {}, "a password goes to its own Kafka alone"
    assert client_of(f"{SERVER},elsewhere:9092", "producer") == {}
    assert client_of(SERVER, "nobody") == {}
    keep(data / "demo-20261126-120000", "127.0.0.1:20000")
    assert client_of("127.0.0.1:20000", "reader")["sasl.username"] == "reader", "a demo's, too"


def test_variables_go_before_the_local_stack_and_what_is_given_before_both(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMETER_KAFKA_USER", "mine")
    monkeypatch.setenv("TOKENMETER_KAFKA_PASSWORD", "m-word")
    monkeypatch.setenv("TOKENMETER_KAFKA_CA", "/ca.pem")
    found = client_of(SERVER, "producer", {"linger.ms": 1})
    assert found == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "mine",
        "sasl.password": "m-word",
        "ssl.ca.location": "/ca.pem",
        "linger.ms": 1,
    }
    given = {"security.protocol": "PLAINTEXT"}
    assert client_of(SERVER, "producer", given) == given


def test_tls_alone_asks_for_no_user() -> None:
    assert Access(tls=True).client() == {"security.protocol": "SSL"}
    assert Access().client() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bootstrap": 1, "users": {}}', '{"bootstrap": "x", "users": []}'])
def test_a_file_that_is_none_is_none(data: Path, text: str) -> None:
    (data / USERS_FILE).write_text(text, "utf-8")
    assert client_of(SERVER, "producer") == {}


def test_no_password_is_shown() -> None:
    for shown in (Access("u", "secret"), Users(frozenset(), {"u": "secret"})):
        assert "secret" not in repr(shown)
