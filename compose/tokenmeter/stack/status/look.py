"""What each part says of itself: Kafka its brokers, ClickHouse its figures, the others their ``/health``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tokenmeter.events.access import Access
from tokenmeter.events.groups import GROUPS
from tokenmeter.stack.state import NOT_RUNNING, PARENT, Part, Stack
from tokenmeter.stack.status.ask import ask_all
from tokenmeter.stack.status.positions import Positions, positions
from tokenmeter.store.statement import sql

ANSWER_S = 0.8
"""What a part may take to answer."""
WITHIN_S = 1.0
"""What all of them may take: ``tokenmeter status`` takes two seconds at most, whatever is down."""
NO_ANSWER = f"no answer within {WITHIN_S:g} s"
_NOT_ASKED = ("boards", "clickhouse_boards")
_POSITIONS = "positions"


@dataclass(frozen=True)
class Look:
    """``ok``: None for a part that cannot be asked. ``figures``: what else it said, e.g. {"lag": 3}."""

    ok: bool | None
    said: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def look(stack: Stack, within_s: float = WITHIN_S, access: Access | None = None) -> dict[str, Look]:
    """Ask every part that runs; those that are stopped by intent are not asked. ``access``: into a Kafka that is not
    the stack's own."""
    asked: dict[str, Callable[[], Look | dict[str, Positions]]] = {}
    not_asked = ("stopped", "published", *NOT_RUNNING)
    running = {name: part for name, part in stack.parts.items() if part.state not in not_asked}
    for name, part in running.items():
        if name not in _NOT_ASKED and (part.url is not None or name == PARENT):
            asked[name] = partial(_question(name, access), part)
    apps = [app for app in GROUPS if app in stack.parts]
    if "kafka" in running and apps:
        asked[_POSITIONS] = partial(positions, _client(running["kafka"], access), apps, ANSWER_S)
    answers = ask_all(asked, within_s)
    found = {name: _look(answers.get(name)) for name in running if name in asked}
    found |= {name: Look(False, _down(part)) for name, part in stack.parts.items() if part.state in NOT_RUNNING}
    known = answers.get(_POSITIONS)
    for name, read in known.items() if isinstance(known, dict) else ():
        found[name] = _with_positions(found.get(name), read)
    return found


def _down(part: Part) -> str:
    return f"{part.state}: {part.said}" if part.said else "its process is gone"


def _look(answer: Look | dict[str, Positions] | Exception | None) -> Look:
    if isinstance(answer, Look):
        return answer
    if isinstance(answer, httpx.TimeoutException) or answer is None:
        return Look(False, NO_ANSWER)
    if isinstance(answer, httpx.HTTPError):
        return Look(False, "does not listen")
    return Look(False, str(answer).splitlines()[0][:200] or type(answer).__name__)


def _with_positions(one: Look | None, read: Positions) -> Look:
    """Kafka's own account of a worker that does not tell its own."""
    told = {"lag": read.lag, "lost_offsets": read.lost}
    if one is None:
        return Look(None, "", told)
    return Look(one.ok, one.said, {**told, **one.figures})


def _question(name: str, access: Access | None) -> Callable[[Part], Look]:
    if name == PARENT:
        return _supervisor
    if name.partition("-")[0] == "kafka":
        return partial(_kafka, access)
    return _clickhouse if name == "clickhouse" else _over_http


def _supervisor(part: Part) -> Look:
    """It serves nothing; the kernel says whether it is held."""
    state = Path(f"/proc/{part.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    if state in "TtZ":
        return Look(False, f"process {part.pid} does not run: nothing is started again (next: kill -CONT {part.pid})")
    return Look(True, part.state)


def _client(part: Part, access: Access | None) -> dict[str, Any]:
    own = Access(part.user, part.password or "") if part.user else Access()
    return {"bootstrap.servers": part.url or "", **((access and access.client()) or own.client()), "log_level": 0}


def _kafka(access: Access | None, part: Part) -> Look:
    try:
        found = AdminClient(_client(part, access)).list_topics(timeout=ANSWER_S)
    except KafkaException:
        return Look(False, NO_ANSWER)
    return Look(True, f"{len(found.brokers)} broker(s), {len(found.topics)} topics", {"brokers": len(found.brokers)})


def _get(part: Part, path: str, **given: Any) -> httpx.Response:
    url = f"{part.url}{path}"
    # Plain HTTP needs no certificates, and to read them all is 30 ms for each part.
    return httpx.get(url, timeout=ANSWER_S, trust_env=False, verify=url.startswith("https"), **given)


def _clickhouse(part: Part) -> Look:
    """Over its plain HTTP: the client of the loader asks more, and waits longer."""
    login = (part.user or "default", part.password or "")
    answer = _get(part, "/", params={"query": sql("status"), "default_format": "JSON"}, auth=login)
    if answer.is_error:
        return Look(False, f"refused: {answer.text.strip().splitlines()[0][:160]}")
    row = answer.json()["data"][0]
    figures = {name: None if value is None else int(value) for name, value in row.items()}
    return Look(True, "answers", figures)


def _over_http(part: Part) -> Look:
    answer = _get(part, "/health")
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):  # Superset says OK
        return Look(answer.is_success, "answers" if answer.is_success else f"HTTP {answer.status_code}")
    figures = {name: value for name, value in body.items() if name not in ("ok", "why", "app", "partitions")}
    partitions = body.get("partitions")
    if isinstance(partitions, list):
        figures["lag"] = sum(max(0, one.get("lag", 0)) for one in partitions)
    ok = answer.is_success and bool(body.get("ok", True))
    if ok and body.get("blocked"):
        return Look(False, "held up by an open transaction", figures)
    if not ok and (waiting_s := body.get("waiting_seconds")):
        return Look(False, f"{figures.get('lag', 0):,} offsets wait, nothing was done for {waiting_s:.0f} s", figures)
    why = body.get("why") or f"is not well (HTTP {answer.status_code})"
    return Look(ok, "answers" if ok else str(why), figures)
