"""The manifests for Kubernetes, held against its schemas, the command, the settings and each other; no cluster."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from support.command_line import fault_of
from tokenmeter.cli.settings import Settings

FOLDER = Path(__file__).parents[2] / "compose" / "kubernetes"
VERSION = "1.37"
VERBS = {"topics", "migrate", "boards", "meter", "ledger", "watch", "load", "gateway", "reconcile"}
Manifest = dict[str, Any]


def load() -> list[Manifest]:
    return [one for path in sorted(FOLDER.glob("*.yaml")) for one in yaml.safe_load_all(path.read_text("utf-8"))]


def pod_of(manifest: Manifest) -> Manifest | None:
    """Labels and spec of the pods that a manifest makes."""
    spec = manifest.get("spec", {})
    template: Manifest | None = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return template


def faults(manifests: list[Manifest]) -> Iterator[str]:
    """What a cluster, the command or the settings would refuse; what would be unsafe, or select nothing."""
    pods = {one["metadata"]["name"]: pod for one in manifests if (pod := pod_of(one)) is not None}
    settings = next(one["data"] for one in manifests if one["kind"] == "ConfigMap")
    yield from _settings_faults("settings", settings)
    for one in manifests:
        name = f"{one['kind']} {one['metadata']['name']}"
        try:
            kubernetes_validate.validate(one, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name}: {error.message}"
            continue
        if (pod := pod_of(one)) is not None:
            yield from _pod_faults(name, pod)
        if one["kind"] == "Deployment" and not _selects(
            one["spec"]["selector"]["matchLabels"], pods[one["metadata"]["name"]]
        ):
            yield f"{name}: selects other pods than its own"
        if one["kind"] == "HorizontalPodAutoscaler":
            target = one["spec"]["scaleTargetRef"]
            if not any((o["kind"], o["metadata"]["name"]) == (target["kind"], target["name"]) for o in manifests):
                yield f"{name}: scales no {target['name']}"
            if one["spec"]["maxReplicas"] > int(settings["TOKENMETER_PARTITIONS"]):
                yield f"{name}: more pods than partitions"
        if one["kind"] == "NetworkPolicy":
            yield from _policy_faults(name, one["spec"], pods)
        if one["kind"] == "Service":
            chosen = [pod for pod in pods.values() if _selects(one["spec"]["selector"], pod)]
            there = {port["name"] for pod in chosen for port in pod["spec"]["containers"][0].get("ports", [])}
            if not {port["targetPort"] for port in one["spec"]["ports"]} <= there:
                yield f"{name}: leads to no port"
    if missing := VERBS - {pod["spec"]["containers"][0]["args"][0] for pod in pods.values()}:
        yield f"nothing runs {', '.join(sorted(missing))}"
    refused = [one for one in manifests if one["kind"] == "NetworkPolicy" and "ingress" not in one["spec"]]
    if not any({"Ingress", "Egress"} <= {*one["spec"]["policyTypes"]} for one in refused):
        yield "what no policy allows is not refused"


def _selects(labels: dict[str, str], pod: Manifest) -> bool:
    return labels.items() <= pod["metadata"]["labels"].items()


def _settings_faults(name: str, settings: dict[str, str]) -> Iterator[str]:
    for variable in settings:
        setting = variable.removeprefix("TOKENMETER_").lower()
        if variable.startswith("TOKENMETER_") and setting not in Settings.model_fields:
            yield f"{name}: no setting {variable}"
        if re.search("PASSWORD|SECRET|KEYS", variable):
            yield f"{name}: {variable} has a value in the file"


def _pod_faults(name: str, pod: Manifest) -> Iterator[str]:
    spec = pod["spec"]
    (container,) = spec["containers"]
    args = container["args"]
    if fault := fault_of(args):
        yield f"{name}: {fault}"
    if not re.fullmatch(r"tokenmeter:[0-9.]+", container["image"]):
        yield f"{name}: image {container['image']} has no fixed version"
    env = {one["name"]: one for one in container.get("env", [])}
    yield from _settings_faults(name, {key: "" for key, one in env.items() if "value" in one})
    yield from (f for f in _settings_faults(name, dict.fromkeys(env, "")) if "no setting" in f)
    if unset := {*re.findall(r"\$\((\w+)\)", " ".join(args))} - {*env}:
        yield f"{name}: its arguments name {', '.join(unset)}, which is not set"
    safe = container["securityContext"]
    if (
        safe["allowPrivilegeEscalation"]
        or not safe["readOnlyRootFilesystem"]
        or not spec["securityContext"]["runAsNonRoot"]
    ):
        yield f"{name}: may do more than it must"
    if "memory" not in container["resources"].get("limits", {}):
        yield f"{name}: has no limit of memory"
    if "--port" in args:
        port = int(args[args.index("--port") + 1])
        if [one["containerPort"] for one in container["ports"]] != [port]:
            yield f"{name}: listens on {port}, which is not its container's port"
        if "livenessProbe" not in container:
            yield f"{name}: is not asked how it is"


def _policy_faults(name: str, spec: Manifest, pods: dict[str, Manifest]) -> Iterator[str]:
    chosen = [pod for pod in pods.values() if _selects(spec["podSelector"]["matchLabels"], pod)]
    if not chosen:
        yield f"{name}: is of no pod"
    open_ = {port["containerPort"] for pod in chosen for port in pod["spec"]["containers"][0].get("ports", [])}
    for rule in spec.get("ingress", []):
        if "from" not in rule or not {port["port"] for port in rule["ports"]} <= open_:
            yield f"{name}: lets everybody in, or leads to no port"


def test_the_manifests_hold() -> None:
    assert list(faults(load())) == []


@pytest.mark.parametrize(
    ("kind", "name", "path", "value", "words"),
    [
        ("Deployment", "meter", "spec.template.spec.containers.0.args", ["metre"], "no verb metre"),
        ("Deployment", "meter", "spec.template.spec.containers.0.args", ["meter", "--slots", "1"], "no option --slots"),
        ("Deployment", "meter", "spec.template.spec.containers.0.args.2", "$(NODE)", "NODE, which is not set"),
        ("Deployment", "load", "spec.template.spec.containers.0.image", "tokenmeter:latest", "no fixed version"),
        ("Deployment", "load", "spec.template.spec.containers.0.ports.0.containerPort", 1, "listens on 6067"),
        ("Deployment", "load", "spec.template.spec.securityContext.runAsNonRoot", False, "more than it must"),
        ("Deployment", "load", "spec.template.metadata.labels.part", "meter", "selects other pods"),
        ("Deployment", "load", "spec.replica", 3, "replica"),
        ("Deployment", "gateway", "spec.template.spec.containers.0.args.0", "topics", "nothing runs gateway"),
        ("ConfigMap", "tokenmeter", "data.TOKENMETER_KAFKA", "x", "no setting TOKENMETER_KAFKA"),
        ("ConfigMap", "tokenmeter", "data.TOKENMETER_WEBHOOK_SECRET", "x", "has a value in the file"),
        ("HorizontalPodAutoscaler", "meter", "spec.scaleTargetRef.name", "metre", "scales no metre"),
        ("HorizontalPodAutoscaler", "meter", "spec.maxReplicas", 65, "more pods than partitions"),
        ("HorizontalPodAutoscaler", "meter", "spec.metrics.0.type", None, "type"),
        ("NetworkPolicy", "gateway", "spec.podSelector.matchLabels.part", "gate", "of no pod"),
        ("NetworkPolicy", "gateway", "spec.ingress.0.ports.0.port", 80, "leads to no port"),
        ("NetworkPolicy", "nothing-else", "spec.policyTypes", ["Egress"], "is not refused"),
        ("Service", "gateway", "spec.ports.0.targetPort", "https", "leads to no port"),
    ],
)
def test_each_kind_of_fault_is_found(kind: str, name: str, path: str, value: Any, words: str) -> None:
    broken = copy.deepcopy(load())
    at: Any = next(one for one in broken if (one["kind"], one["metadata"]["name"]) == (kind, name))
    *way, last = path.split(".")
    for step in way:
        at = at[int(step)] if step.isdecimal() else at[step]
    at[int(last) if last.isdecimal() else last] = value
    assert any(words in fault for fault in faults(broken)), list(faults(broken))
