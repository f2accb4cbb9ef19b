"""A local stack's ports are chosen once, and a kept one that somebody else has is named."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tokenmeter.cli.settings import Settings
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.ports import BELOW, FIRST, Ports, is_free
from tokenmeter.stack.slots import port_names

NAMES = ("kafka", "gateway", "meter")


def test_ports_are_chosen_once(tmp_path: Path) -> None:
    first = {name: Ports(tmp_path, NAMES).port(name) for name in NAMES}
    assert {name: Ports(tmp_path, NAMES).port(name) for name in reversed(NAMES)} == first
    assert len({*first.values()}) == len(NAMES)
    assert all(FIRST <= port < BELOW and is_free(port) for port in first.values())
    more = Ports(tmp_path, (*NAMES, "meter-2"))
    assert more.port("meter-2") not in first.values()
    assert more.port("kafka") == first["kafka"]


def test_a_base_gives_ports_in_a_row_that_stay_without_it(tmp_path: Path) -> None:
    based = Ports(tmp_path, NAMES, 20_000)
    assert [based.port(name) for name in NAMES] == [20_000, 20_001, 20_002]
    assert Ports(tmp_path, NAMES).port("meter") == 20_002


def test_a_kept_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"gateway": taken, "load": taken}))
        with pytest.raises(Misconfigured, match=rf"port {taken}, which gateway has kept .*--port-base"):
            Ports(tmp_path, NAMES).require_free()
        Ports(tmp_path, ("kafka", "meter")).require_free()
    Ports(tmp_path, NAMES).require_free()


@pytest.mark.parametrize("text", ["{", "[1]", '{"kafka": "x"}'])
def test_a_torn_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    with pytest.raises(Misconfigured, match=r"ports.json is damaged.*rm "):
        Ports(tmp_path, NAMES)


def test_whatever_listens_has_a_name_of_its_own() -> None:
    for settings in (Settings(), Settings(brokers=3, meters=2, loaders=2)):
        names = port_names(settings)
        assert len(names) == len({*names})
    assert {"kafka-2", "kafka-2-controller", "meter-2", "load-2", "gateway", "superset"} <= {*names}
