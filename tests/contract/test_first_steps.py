"""What the README tells a newcomer, done as it stands: a stack, an event by the SDK and one by curl, its usage."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from openai import OpenAI

from support import stranger
from support.broker import eventually
from support.command import COMMAND, processes_of, run
from support.command_line import fault_of_line
from support.missing import command, missing_modules
from support.provider_server import provider_server
from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.emit import Emitter
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.openai import metered
from tokenmeter.stack.kafka import free_port
from tokenmeter.store.client import connect

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EXAMPLES = Path(__file__).parent / "examples"
PYTHON, CURL = EXAMPLES / "first_event.py", EXAMPLES / "first_event.sh"
CONSUMER = EXAMPLES / "consume_billing.py"
KAFKA, GATEWAY = "127.0.0.1:19092", "127.0.0.1:19093"
"""Where the README's stack serves: what --port-base promises."""
WAIT_S = 120.0
CANARY = "canary-7f3a"
FOLLOWED_S = 4.0
CREDIT_PAGE = ROOT / "producers/tokenmeter/emit/credit/README.md"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A detached stack, as options; nothing of it is left afterwards."""
    folder = tmp_path_factory.mktemp("stack")
    where = ["--data", str(folder)]
    try:
        code, said = run(["up", "--detach", "--no-boards", *where])
        assert code == 0, said
        assert "ClickHouse ready after" in said, "it tells how far it is"
        with pytest.MonkeyPatch.context() as here:
            here.setenv("TOKENMETER_DATA", str(folder))  # a reader of the README stands where .tokenmeter is
            yield where
    finally:
        assert run(["down", *where])[0] == 0
    assert processes_of(folder) == []
    assert run(["down", *where])[0] == 0


def status(where: list[str]) -> dict[str, dict[str, Any]]:
    code, said = run(["status", "--json", *where])
    assert code in (0, 1), said
    parts: dict[str, dict[str, Any]] = json.loads(said)
    return parts


def placed(text: str, parts: dict[str, dict[str, Any]]) -> str:
    """An example that was written for the README's ports, for those of this stack."""
    found = text.replace(KAFKA, parts["kafka"]["url"]).replace(f"http://{GATEWAY}", parts["gateway"]["url"])
    assert found != text
    return found


def test_the_readme_shows_the_examples_that_are_run() -> None:
    shown = README.read_text("utf-8").replace("\n    ", "\n")
    for example in (PYTHON, CURL):
        assert example.read_text("utf-8").rstrip() in shown, example
    base = re.search(r"tokenmeter up --detach --port-base (\d+)", shown)
    assert base is not None
    assert (f"127.0.0.1:{base[1]}", f"127.0.0.1:{int(base[1]) + 1}") == (KAFKA, GATEWAY)


def test_a_newcomer_sends_an_event_by_sdk_and_by_curl_sees_it_on_the_board_and_asks_for_its_usage(
    stack: list[str],
) -> None:
    parts = status(stack)
    by_sdk = [sys.executable, "-c", placed(PYTHON.read_text("utf-8"), parts)]
    by_curl = ["bash", "-c", placed(CURL.read_text("utf-8"), parts)]
    for one in (by_sdk, by_curl):
        done = subprocess.run(one, capture_output=True, text=True, timeout=WAIT_S)
        assert done.returncode == 0, done.stdout + done.stderr
    code, said = run(["usage", "acme", *stack])
    assert code == 0, said

    def used() -> tuple[int, int, int]:
        done = subprocess.run([*COMMAND, "usage", "acme", "--json", *stack], capture_output=True, text=True, timeout=60)
        total = json.loads(done.stdout)["total"]
        return total["calls"], total["input_tokens"], total["output_tokens"]

    eventually("usage has both", lambda: used() == (2, 240, 16), WAIT_S)
    consumed = subprocess.run(
        [sys.executable, CONSUMER, parts["kafka"]["url"]], capture_output=True, text=True, timeout=WAIT_S
    )
    assert consumed.returncode == 0 and "'acme': 256" in consumed.stdout, consumed
    # What the board "Market" asks, as Superset's own user.
    reader = connect(*(parts["clickhouse_boards"][name] for name in ("url", "user", "password")), database="boards")
    asked = "SELECT sum(input_tokens) FROM boards.market WHERE model = 'openai/gpt-4o'"
    eventually("and the board", lambda: reader.query(asked).result_rows == [(240,)], WAIT_S)


def test_a_gateway_runs_with_its_own_extra_alone(stack: list[str]) -> None:
    assert {"polars", "numpy", "clickhouse_connect", "faust"} <= missing_modules(("gateway",))
    port, event = free_port(), {"customer_id": "extra", "model": "a/b", "provider": "p", "event_id": "1"}
    env = {**os.environ, "TOKENMETER_KAFKA_BOOTSTRAP": status(stack)["kafka"]["url"]}
    arguments = command(("gateway",), "gateway", "--port", str(port))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:

        def taken() -> bool:
            assert process.poll() is None, process.stdout and process.stdout.read()
            sent = {**event, "occurred_at": datetime.now(UTC).isoformat()}
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}/v1/events", json=sent, timeout=20, trust_env=False)
            except httpx.HTTPError:
                return False
            return answer.status_code == 202

        try:
            eventually("it takes an event", taken, WAIT_S)
        finally:
            process.kill()


def test_usage_is_complete_up_to_now_once_all_is_loaded(stack: list[str]) -> None:
    """Nothing is metered meanwhile, so only Kafka can tell that nothing is missing."""

    def until() -> str:
        done = subprocess.run([*COMMAND, "usage", "acme", "--json", *stack], capture_output=True, text=True, timeout=60)
        return str(json.loads(done.stdout)["complete_until"])

    first = eventually("it is known", lambda: (said := until()) != "None" and said, WAIT_S)
    eventually("it moves on", lambda: until() > first, WAIT_S)


def test_status_knows_every_part_and_which_one_is_frozen(stack: list[str]) -> None:
    parts = status(stack)
    names = ("kafka", "clickhouse", "meter", "load", "ledger", "watch", "gateway")
    assert {*names} <= {*parts}
    assert {parts[name]["state"] for name in names} == {"running"}
    eventually("all is well", lambda: run(["status", *stack])[0] == 0, WAIT_S)
    stopped = parts["meter"]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    eventually("the meter alone is not well", lambda: not_well(stack) == {"meter"}, WAIT_S)
    eventually("the supervisor puts another in its place", lambda: status(stack)["meter"]["pid"] != stopped, WAIT_S)
    eventually("all is well", lambda: run(["status", *stack])[0] == 0, WAIT_S)


def test_a_strangers_open_transaction_is_said_with_its_producer_and_ends_no_worker(stack: list[str]) -> None:
    parts = status(stack)
    stranger = Producer({**kafka(load(data=Path(stack[1]))), "transactional.id": "stranger"})
    stranger.init_transactions(WAIT_S)
    stranger.begin_transaction()
    stranger.produce("usage.events", b"held", partition=1)
    stranger.flush(WAIT_S)
    eventually("it is said", lambda: {"meter", "load"} <= not_well(stack), WAIT_S)
    said = status(stack)["meter"]["blocked"]
    assert len(said) == 1 and "usage.events/1: nothing behind offset" in said[0], said
    assert re.search(r"producer \d+ has had a transaction open there since", said[0]), said
    stranger.abort_transaction(WAIT_S)
    eventually("all is well", lambda: run(["status", *stack])[0] == 0, WAIT_S)
    assert [status(stack)[name]["pid"] for name in ("meter", "load")] == [parts[n]["pid"] for n in ("meter", "load")]


def test_a_killed_broker_is_said_and_every_part_goes_on(stack: list[str]) -> None:
    parts = status(stack)
    os.kill(parts["kafka"]["pid"], signal.SIGKILL)
    eventually("it is said", lambda: "kafka" in not_well(stack), WAIT_S)
    eventually("all is well", lambda: run(["status", *stack])[0] == 0, WAIT_S)
    event = {"customer_id": "after", "model": "a/b", "provider": "p", "event_id": "1"}
    url = f"{parts['gateway']['url']}/v1/events"

    def taken() -> bool:
        sent = {**event, "occurred_at": datetime.now(UTC).isoformat()}
        try:
            return httpx.post(url, json=sent, timeout=20, trust_env=False).status_code == 202
        except httpx.HTTPError:
            return False

    eventually("the gateway takes an event", taken, WAIT_S)

    def used() -> int:
        done = subprocess.run(
            [*COMMAND, "usage", "after", "--json", *stack], capture_output=True, text=True, timeout=60
        )
        return int(json.loads(done.stdout)["total"]["calls"]) if done.returncode == 0 else 0

    eventually("it is metered and loaded", lambda: used() == 1, WAIT_S)


def not_well(where: list[str]) -> set[str]:
    return {name for name, part in status(where).items() if part["healthy"] is False}


def test_doctor_finds_nothing_wrong_with_it_and_what_is_made_wrong(stack: list[str]) -> None:
    code, said = run(["doctor", *stack])
    assert code == 0, said
    for what in ("kafka topics: ", "kafka transactions: ", "kafka acls: on", "clocks: ", "migrations applied"):
        assert what in said
    code, said = run(["doctor", "--json", *stack], TOKENMETER_PAGE_SECOND="3", TOKENMETER_KAFKA_BOOTSTRAP="127.0.0.1:1")
    wrong = {one["what"]: one["mend"] for one in json.loads(said)["findings"] if one["ok"] is False}
    assert code == 1
    assert {"settings", "kafka"} <= {*wrong}
    assert all(wrong.values()), "each with what mends it"


def test_a_second_stack_on_the_same_directory_is_refused(stack: list[str]) -> None:
    assert run(["up", "--no-boards", *stack])[0] == 1
    code, said = run(["topics", *stack])
    assert (code, "nothing" in said) == (0, True)


ELSEWHERE = ("up", "status", "usage acme")
"""Commands of the README that the tests above do, or that would begin another stack."""
MODEL_PRICES = {
    "gpt-4o": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
    }
}


def test_the_commands_of_the_readme_run_one_after_the_other(stack: list[str], tmp_path: Path) -> None:
    (tmp_path / "model_prices.json").write_text(json.dumps(MODEL_PRICES), "utf-8")
    ran = []
    for line in commands_of(README):
        verb, *_ = words = shlex.split(line, comments=True)[1:]
        if " ".join(words).startswith(ELSEWHERE):
            continue
        ran.append(verb)
        setting = {"TOKENMETER_WEBHOOK_SECRET": "0123456789abcdef"} if "--webhook" in words else {}
        arguments = [*words, *stack]
        if words == ["alerts", "--follow"] or "--webhook" in words:  # they go on until they are stopped
            assert still_runs(arguments, **setting), line
            continue
        code, said = run(arguments, cwd=tmp_path, **setting)
        wanted = 1 if words[:2] == ["alerts", "explain"] else 0  # there is no alert called ID
        assert code == wanted and "Traceback" not in said, (line, code, said)
    assert len(ran) >= 12
    assert {"prices", "plans", "accounts", "credit", "alerts", "watch"} <= {*ran}


def still_runs(arguments: list[str], **setting: str) -> bool:
    """Whether a command that follows goes on for a while, and ends when it is asked to."""
    env = {**os.environ, **setting}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, text=True
    ) as process:
        try:
            process.wait(FOLLOWED_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            return "Traceback" not in process.communicate(timeout=WAIT_S)[0]
        return False


def test_the_page_of_the_credit_cache_runs(stack: list[str]) -> None:
    parts = status(stack)
    python, shell = re.findall(r"```(?:python|sh)\n(.*?)```", CREDIT_PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"PaymentRequired": PermissionError}
    exec(compile(python.replace("localhost:9092", parts["kafka"]["url"]), "README.md", "exec"), names)
    names["credit"].close()
    assert names["answer"].allowed, names["answer"]
    asked = shell.replace("http://localhost:8090", parts["gateway"]["url"]).replace(
        "curl ", "curl -sS --fail-with-body "
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=WAIT_S)
    # This gateway has no keys: whoever asks is told that credit takes a right.
    assert "403" in done.stderr and "right" in done.stdout, done


def test_the_one_line_that_meters_a_client_does(stack: list[str]) -> None:
    line = re.search(r"^    (client = metered\(.*\))$", README.read_text("utf-8"), re.MULTILINE)
    assert line is not None
    with provider_server() as server, Emitter(status(stack)["kafka"]["url"]) as emitter:
        names = {
            "OpenAI": lambda: OpenAI(api_key="k", base_url=f"{server.url}/v1"),
            "Meter": Meter,
            "metered": metered,
            "emitter": emitter,
        }
        exec(compile(line[1], "README.md", "exec"), names)
        client: Any = names["client"]
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
        eventually("its call is an event", lambda: emitter.stats.accepted == 1, WAIT_S)


def test_no_password_key_or_payload_is_in_a_log_or_on_a_command_line_and_nothing_is_open_to_others(
    stack: list[str],
) -> None:
    folder = Path(stack[1])
    gateway = status(stack)["gateway"]["url"]
    named = {"customer_id": CANARY, "model": CANARY, "provider": "p"}
    codes = []
    for body in ({"customer_id": CANARY, "prompt": CANARY}, {**named, "tags": [CANARY], "project_id": CANARY}):
        sent = {**body, "event_id": CANARY, "occurred_at": datetime.now(UTC).isoformat()}
        headers = {"Authorization": f"Bearer {CANARY}"}
        url = f"{gateway}/v1/events"
        codes.append(httpx.post(url, json=sent, headers=headers, timeout=20, trust_env=False).status_code)
    assert codes == [422, 202], "one is refused, one goes all the way"
    secrets = {CANARY, *json.loads((folder / "kafka-users.json").read_text("utf-8"))["users"].values()}
    secrets |= {part["password"] for part in status(stack).values() if part["password"]}
    assert len(secrets) >= 8, "six of Kafka's, two of ClickHouse"
    logs = [path for path in (folder / "logs").rglob("*") if path.is_file()]
    assert {"up.log", "kafka.log", "gateway.log", "meter.log"} <= {path.name for path in logs}
    told = {str(path): path.read_text("utf-8", "replace") for path in logs} | dict(enumerate(processes_of(folder)))
    assert len(told) > len(logs), "processes are looked at"
    assert [(where, one) for where, text in told.items() for one in secrets if one in text] == []
    assert str(folder / "kafka-users.json") in told[str(folder / "logs" / "up.log")], "where they are is said"
    assert "passwords: " in run(["status", *stack])[1]
    # Below the folder that pytest made: a file that a part has just removed is none.
    kept = [one for one in folder.rglob("*") if one.exists()]
    assert [one for one in kept if one.exists() and one.stat().st_mode & 0o077 and not one.is_symlink()] == []
    assert not stranger.can_try() or stranger.readable(folder) == []


def commands_of(page: Path) -> Iterator[str]:
    """Every command line of ours in a page, as a reader would type it."""
    for line in page.read_text("utf-8").splitlines():
        text = line.strip().removeprefix("$ ")
        text = re.sub(r"^([A-Z_]+=\S+ )+", "", text)
        if line.startswith(("    ", "tokenmeter ", "$ ")) and text.startswith("tokenmeter "):
            yield from (one.strip() for one in text.split("&&") if one.strip().startswith("tokenmeter "))


def test_every_command_in_every_page_is_one_that_there_is() -> None:
    pages = [page for page in ROOT.rglob("*.md") if not {".venv", "build", "node_modules"} & {*page.parts}]
    checked = 0
    for page in pages:
        for line in commands_of(page):
            assert fault_of_line(line) is None, f"{page.relative_to(ROOT)}: {line}: {fault_of_line(line)}"
            checked += 1
    assert checked > 15
    assert fault_of_line("tokenmeter usages acme") == "no verb usages"
    assert fault_of_line("tokenmeter usage acme --colour") == "no option --colour"
    assert fault_of_line("tokenmeter prices import x --bok cost") == "no option --bok"
