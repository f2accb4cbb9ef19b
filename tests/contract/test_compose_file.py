"""The production compose file, held against the command, the settings and the contract; no engine is needed."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import jsonschema
import typer.main
import yaml

from tokenmeter.stack.cli import app
from tokenmeter.stack.settings import Settings

FILE = Path(__file__).parents[2] / "compose" / "docker-compose.yml"
SERVICE = {
    "type": "object",
    "required": ["image", "restart"],
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string", "pattern": r"^[a-z0-9./-]+:[0-9][0-9.]*$"},
        "build": {"type": "object", "required": ["context", "dockerfile"]},
        "restart": {"enum": ["unless-stopped", "on-failure"]},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "command": {"type": "array", "items": {"type": "string"}},
        "volumes": {"type": "array", "items": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "ulimits": {"type": "object"},
        "healthcheck": {"type": "object", "required": ["test", "interval", "retries"]},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["condition"],
                "properties": {"condition": {"enum": ["service_healthy", "service_completed_successfully"]}},
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "properties": {"services": {"type": "object", "additionalProperties": SERVICE}},
}


def faults(document: dict[str, Any]) -> list[str]:
    """What an engine, the command or the settings would refuse, and what would be unsafe."""
    found = [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]
    services = document["services"]
    verbs = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for name, service in services.items():
        if service["image"].startswith("tokenmeter:") and service["command"][0] not in verbs:
            found.append(f"{name}: no verb {service['command'][0]}")
        for variable, value in service.get("environment", {}).items():
            setting = variable.removeprefix("TOKENMETER_").lower()
            if variable.startswith("TOKENMETER_") and setting not in Settings.model_fields:
                found.append(f"{name}: no setting {variable}")
            if re.search("PASSWORD|SECRET", variable) and not re.fullmatch(r"\$\{\w+:\?.+\}", value):
                found.append(f"{name}: {variable} has a value in the file")
        for other, condition in service.get("depends_on", {}).items():
            if other not in services:
                found.append(f"{name}: depends on no service {other}")
            elif condition["condition"] == "service_healthy" and "healthcheck" not in services[other]:
                found.append(f"{name}: waits for {other}, which has no health check")
        for volume in service.get("volumes", []):
            if volume.split(":")[0] not in document["volumes"]:
                found.append(f"{name}: no volume {volume}")
    return found


def load() -> dict[str, Any]:
    document = yaml.safe_load(FILE.read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def test_the_compose_file_holds() -> None:
    assert faults(load()) == []


def test_the_image_of_the_workers_is_built_from_a_file_that_is_there() -> None:
    build = load()["services"]["meter"]["build"]
    assert (FILE.parent / build["context"] / build["dockerfile"]).exists()


def test_each_kind_of_fault_is_found() -> None:
    broken = copy.deepcopy(load())
    services = broken["services"]
    services["meter"]["command"] = ["metre"]
    services["load"]["environment"] = {"TOKENMETER_CLICKHOUS_URL": "x"}
    services["clickhouse"]["environment"]["CLICKHOUSE_PASSWORD"] = "secret"
    services["superset"]["ports"] = ["8088:8088"]
    services["kafka"]["image"] = "apache/kafka:latest"
    services["boards"]["depends_on"] = {"supersets": {"condition": "service_healthy"}}
    del services["kafka"]["healthcheck"]
    assert len(faults(broken)) == 7
