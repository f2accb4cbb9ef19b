"""The production compose file, held against the compose specification, the command and the settings; no engine."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from support.command_line import fault_of
from tokenmeter.cli.settings import Settings

FOLDER = Path(__file__).parents[2] / "compose"
FILE, THREE = FOLDER / "docker-compose.yml", FOLDER / "three-brokers.env"
SPECIFICATION = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
VERBS = ("topics", "migrate", "boards", "meter", "ledger", "watch", "load", "gateway")
"""What production runs, each as a service."""
OUTSIDE = {"gateway", "superset"}
"""Reachable from this machine; nothing else is, and nothing from others."""
_VARIABLE = re.compile(r"\$\{(\w+)(:-|:\?)([^}]*)\}")


@cache
def specification() -> Any:
    text = Path(str(distribution("check-jsonschema").locate_file(SPECIFICATION))).read_text("utf-8")
    return jsonschema.Draft7Validator(json.loads(text))


def faults(document: dict[str, Any]) -> list[str]:
    """What an engine, the command or the settings would refuse, and what would be unsafe."""
    found = [error.message for error in specification().iter_errors(document)]
    services = document["services"]
    for name, service in services.items():
        if not re.fullmatch(r"[a-z0-9./-]+:[0-9][0-9.]*", service["image"]):
            found.append(f"{name}: image {service['image']} has no fixed version")
        if service["image"].startswith("tokenmeter:") and (fault := fault_of(service["command"])):
            found.append(f"{name}: {fault}")
        for variable, value in service.get("environment", {}).items():
            setting = variable.removeprefix("TOKENMETER_").lower()
            if variable.startswith("TOKENMETER_") and setting not in Settings.model_fields:
                found.append(f"{name}: no setting {variable}")
            if re.search("PASSWORD|SECRET|KEYS", variable) and not re.fullmatch(r"\$\{\w+:\?.+\}", value):
                found.append(f"{name}: {variable} has a value in the file")
        for other, condition in service.get("depends_on", {}).items():
            if other not in services:
                found.append(f"{name}: depends on no service {other}")
                continue
            if condition["condition"] == "service_healthy" and "healthcheck" not in services[other]:
                found.append(f"{name}: waits for {other}, which has no health check")
            if condition.get("required", True) and services[other].get("profiles"):
                found.append(f"{name}: needs {other}, which is there in a profile only")
        for volume in service.get("volumes", []):
            if volume.split(":")[0] not in document["volumes"]:
                found.append(f"{name}: no volume {volume}")
        for port in service.get("ports", []):
            if name not in OUTSIDE or not port.startswith("127.0.0.1:"):
                found.append(f"{name}: {port} is reachable from outside")
        found += health_faults(name, service)
    missing = {*VERBS} - {one["command"][0] for one in services.values() if one["image"].startswith("tokenmeter:")}
    return found + [f"no service runs {verb}" for verb in sorted(missing)]


def health_faults(name: str, service: dict[str, Any]) -> list[str]:
    """A service of ours that runs on is asked at the port it was given."""
    command = service.get("command", [])
    if "--port" not in command:
        return []
    port = command[command.index("--port") + 1]
    test = " ".join(service.get("healthcheck", {}).get("test", []))
    return [] if f":{port}/health" in test else [f"{name}: its health is not asked at {port}"]


def load() -> dict[str, Any]:
    document = yaml.safe_load(FILE.read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def test_the_compose_file_holds() -> None:
    assert faults(load()) == []


def test_the_image_of_the_workers_is_built_from_a_file_that_is_there() -> None:
    build = load()["services"]["meter"]["build"]
    assert (FILE.parent / build["context"] / build["dockerfile"]).exists()


def variables() -> dict[str, str]:
    """What the file for three brokers sets."""
    lines = [line for line in THREE.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_three_brokers_are_all_that_the_other_file_says() -> None:
    document, given = load(), variables()
    text = FILE.read_text("utf-8")
    optional = {name for name, kind, _ in _VARIABLE.findall(text) if kind == ":-"}
    assert {*given} - {"COMPOSE_PROFILES"} == optional, "each variable with a default is one that three brokers change"
    services = document["services"]
    shown = {name for name, one in services.items() if one.get("profiles", [given["COMPOSE_PROFILES"]])}
    assert shown == {*services}
    brokers = {name: one["environment"]["KAFKA_NODE_ID"] for name, one in services.items() if name.startswith("kafka")}
    assert given["KAFKA_VOTERS"] == ",".join(f"{number}@{name}:9093" for name, number in brokers.items())
    assert given["KAFKA_BOOTSTRAP"] == ",".join(f"{name}:9092" for name in brokers)
    assert (given["KAFKA_COPIES"], given["KAFKA_MIN_ISR"]) == ("3", "2")
    for name in brokers:
        assert services[name]["environment"]["KAFKA_ADVERTISED_LISTENERS"] == f"CLIENTS://{name}:9092"
        assert services[name]["volumes"] == [f"{name}:/var/lib/kafka/data"]
    assert len({one["environment"]["CLUSTER_ID"] for name, one in services.items() if name in brokers}) == 1


def test_each_kind_of_fault_is_found() -> None:
    def without(service: str, key: str) -> None:
        del broken["services"][service][key]

    def put(service: str, key: str, value: Any) -> None:
        broken["services"][service][key] = value

    for breaks, words in [
        (lambda: put("meter", "command", ["metre"]), "no verb metre"),
        (lambda: put("meter", "command", ["meter", "--slots", "1"]), "no option --slots"),
        (lambda: put("load", "environment", {"TOKENMETER_CLICKHOUS_URL": "x"}), "no setting TOKENMETER_CLICKHOUS_URL"),
        (lambda: put("clickhouse", "environment", {"CLICKHOUSE_PASSWORD": "secret"}), "has a value in the file"),
        (lambda: put("superset", "ports", ["8088:8088"]), "reachable from outside"),
        (lambda: put("meter", "ports", ["127.0.0.1:6066:6066"]), "reachable from outside"),
        (lambda: put("kafka", "image", "apache/kafka:latest"), "has no fixed version"),
        (lambda: put("boards", "depends_on", {"supersets": {"condition": "service_healthy"}}), "depends on no service"),
        (lambda: put("boards", "depends_on", {"kafka-2": {"condition": "service_healthy"}}), "in a profile only"),
        (lambda: without("kafka", "healthcheck"), "has no health check"),
        (lambda: without("watch", "healthcheck"), "is not asked at 6069"),
        (lambda: without("gateway", "command"), "no service runs gateway"),
        (lambda: put("meter", "restarts", "always"), "restarts"),
        (lambda: put("kafka", "volumes", ["other:/x"]), "no volume other:/x"),
    ]:
        broken = copy.deepcopy(load())
        breaks()
        if "command" not in broken["services"]["gateway"]:
            broken["services"]["gateway"]["command"] = ["topics"]
        assert any(words in fault for fault in faults(broken)), (words, faults(broken))
