"""The local stack: starts the parts in their order, restarts what dies, stops them in reverse."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from clickhouse_connect.driver.client import Client

from tokenmeter.boards import Database, Published, publish
from tokenmeter.cli.settings import Settings
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.stack import empty_store, environment
from tokenmeter.stack.alone import require_alone
from tokenmeter.stack.children import Child, stop_together
from tokenmeter.stack.health import wait_healthy
from tokenmeter.stack.local_kafka import LocalKafka
from tokenmeter.stack.ports import Ports
from tokenmeter.stack.private import make_private
from tokenmeter.stack.processes import born
from tokenmeter.stack.slots import port_names, slot_name, slots
from tokenmeter.stack.state import PARENT, Part, Stack, write_private
from tokenmeter.stack.superset import SupersetNode
from tokenmeter.stack.superset_venv import ensure_superset
from tokenmeter.stack.supervisor import Supervisor, part_of
from tokenmeter.stack.topics import register_schemas
from tokenmeter.store.client import connect
from tokenmeter.store.comments import explain
from tokenmeter.store.migrate import MIGRATE_TIMEOUT_S, migrate
from tokenmeter.store.users import sha256

PASSWORD_BYTES = 18

STOPPING = (("superset", "gateway", "meter", "load", "ledger", "watch"), ("clickhouse",), ("kafka",))
"""Children that stop together, by how their names begin."""

Say = Callable[[str], None]
Fill = Callable[[Client], None]
Begin = Callable[[Path, Say], None]


class LocalStack:
    """Kafka, ClickHouse and the workers as children of this process; a part given by URL is used instead.

    ``stores_only``: Kafka and ClickHouse alone, for work that no worker may disturb. ``begin`` may make ClickHouse's
    data directory before it starts, and ``fill`` put rows into the migrated ClickHouse: both run beside what starts
    meanwhile, and boards are published when they have ended. ``boards_later``: start() does not wait for them,
    finish() does. ``patient``: a worker that does not start is left to watch().
    """

    def __init__(
        self,
        settings: Settings,
        say: Say,
        *,
        stores_only: bool = False,
        begin: Begin = empty_store.begin,
        fill: Fill | None = None,
        boards_later: bool = False,
        patient: bool = False,
    ) -> None:
        self._stores_only, self._begin, self._fill, self._later = stores_only, begin, fill, boards_later
        self._patient = patient
        self._beside = ThreadPoolExecutor(2, "beside")
        self._beginning: Future[None] | None = None
        self._filling: Future[None] | None = None
        self._publishing: Future[Published] | None = None
        self._superset: SupersetNode | None = None
        self._settings = settings
        self._say = say
        self._data = self.data = settings.data.absolute()
        self._logs = self._data / "logs"
        self._stack = Stack()
        self._children: dict[str, Child] = {}
        self.kafka = LocalKafka(settings, self._data, self._logs)
        self._supervisor = Supervisor(self._children, self._stack, self._data, say)
        self.clickhouse_url = settings.clickhouse_url or ""
        self.clickhouse_password = ""
        self._boards_password = ""

    def start(self) -> None:
        """Start everything. On any failure what was started is stopped again."""
        try:
            make_private(self._data)
            self._lock = (self._data / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misconfigured(f"a stack is already running on {self._data}", hint="tokenmeter status") from error
        except OSError as error:
            raise Misconfigured(f"cannot use the data directory {self._data}: {error}", hint="--data DIR") from error
        try:
            self._ports = Ports(self._data, port_names(self._settings), self._settings.port_base)
            self._ports.require_free()
            self._require_disk()
            if self._settings.clickhouse_url is None:
                self._beginning = self._beside.submit(self._begin, self._data / "clickhouse", self._say)
            boards = self._settings.boards and not self._stores_only
            if boards:
                self._launch_superset()
            self._step("Apache Kafka", self._start_kafka)
            self._step("ClickHouse", self._start_clickhouse)
            if not self._stores_only:
                self._step("workers and gateway", self._start_workers)
            if boards:
                self._step("Superset", self._superset.wait if self._superset else lambda: None)
                if self._filling is not None:
                    self._step("what the boards show", self._filling.result)
                self._publishing = self._beside.submit(self._publish)
            if not self._later:
                self.finish()
        except BaseException:
            self.stop()
            raise

    def finish(self) -> None:
        """Wait until the boards are published, if they are: then everything runs."""
        if self._publishing is not None:
            self._step("boards", self._publishing.result)
            superset, published = self._stack.parts["superset"], self._publishing.result()
            self._stack.parts["boards"] = Part("published", None, published.url, superset.user, superset.password)
        self._supervisor.ask()
        self._stack.parts[PARENT].state = "running"
        self._stack.save(self._data)

    def _require_disk(self) -> None:
        """Kafka and ClickHouse stop in the middle of things on a full disk; better not to begin."""
        free_mb = shutil.disk_usage(self._data).free >> 20
        wanted_mb = self._settings.disk_free_min_mb
        if free_mb < wanted_mb:
            raise Misconfigured(
                f"{self._data} has {free_mb} MB free, {wanted_mb} MB are needed",
                hint="free space, or choose another disk with --data DIR",
            )

    def _step(self, name: str, work: Callable[[], object]) -> None:
        began = time.monotonic()
        work()
        self._say(f"{name} ready after {time.monotonic() - began:.1f} s")

    def _start_kafka(self) -> None:
        self.kafka.start(self._ports)
        for name, node in self.kafka.nodes.items():
            assert node.child is not None
            self._children[name] = node.child
            self._note(name, node.bootstrap, *self.kafka.login)
        if "kafka" not in self._stack.parts:
            state = "running" if self.kafka.nodes else "external"
            self._stack.parts["kafka"] = Part(state, None, self.kafka.bootstrap, *self.kafka.login)
        self.kafka.make_topics()
        if not self.kafka.nodes and not self._stores_only:  # who has Kafka's files has it alone
            require_alone(self.kafka.client)
        register_schemas(self._settings.registry_url)

    def _start_clickhouse(self) -> None:
        user = self._settings.clickhouse_user
        if self._settings.clickhouse_url is None:
            self.clickhouse_password = secrets.token_urlsafe(PASSWORD_BYTES)
            users = self._data / "clickhouse-users.json"
            self._boards_password = secrets.token_urlsafe(PASSWORD_BYTES)
            write_private(
                users,
                {
                    user: {"password_sha256": sha256(self.clickhouse_password)},
                    self._settings.clickhouse_boards_user: {
                        "password_sha256": sha256(self._boards_password),
                        "readonly": True,
                    },
                },
            )
            if self._beginning is not None:
                self._beginning.result()
            port = self._ports.port("clickhouse")
            self.clickhouse_url = f"http://127.0.0.1:{port}"
            command = [sys.executable, "-m", "tokenmeter.store.server", "--port", str(port)]
            command += ["--data", str(self._data / "clickhouse"), "--users", str(users)]
            self._launch("clickhouse", command, {}, port)
            wait_healthy(self._children["clickhouse"], f"{self.clickhouse_url}/ping")
        elif self._settings.clickhouse_password is not None:
            self.clickhouse_password = self._settings.clickhouse_password.get_secret_value()
        if self._settings.clickhouse_boards_password is not None:
            self._boards_password = self._settings.clickhouse_boards_password.get_secret_value()
        self._note("clickhouse", self.clickhouse_url, user, self.clickhouse_password)
        if self._boards_password:
            reader = self._settings.clickhouse_boards_user
            self._note("clickhouse_boards", self.clickhouse_url, reader, self._boards_password)
            self._stack.parts["clickhouse_boards"].state = self._stack.parts["clickhouse"].state
        client = connect(self.clickhouse_url, user, self.clickhouse_password, query_timeout_s=MIGRATE_TIMEOUT_S)
        if migrate(client, say=self._say, cluster=self._settings.clickhouse_cluster):
            explain(client, self._settings.clickhouse_cluster)
        if self._fill is not None:
            self._filling = self._beside.submit(self._fill, client)

    def _start_workers(self) -> None:
        """All at once: most of a start is waiting."""
        asked = [*map(self._launch_worker, slots(self._settings)), self._launch_gateway()]
        for name, health in asked:
            try:
                wait_healthy(self._children[name], health)
            except Fatal as error:
                if not self._patient:
                    raise
                self._say(f"{error.message}; the others run, and it is tried again (next: tokenmeter status)")

    def _launch_worker(self, which: tuple[str, int]) -> tuple[str, str]:
        """Start a verb's slot; its name and where it tells of its health."""
        verb, slot = which
        name = slot_name(verb, slot)
        port = self._ports.port(name)
        password = self.clickhouse_password
        kafka = environment.of_kafka(self.kafka.bootstrap, self.kafka.access("workers"))
        env = environment.of_worker(self._settings, kafka, self.clickhouse_url, password, self._data)
        command = [sys.executable, "-m", "tokenmeter.cli.app", verb, "--port", str(port), "--slot", str(slot)]
        return self._launch(name, command, env, port)

    def _launch_gateway(self) -> tuple[str, str]:
        port = self._ports.port("gateway")
        command = [sys.executable, "-m", "tokenmeter.cli.app", "gateway", "--port", str(port)]
        stored = self.clickhouse_url, self.clickhouse_password
        kafka = environment.of_kafka(self.kafka.bootstrap, self.kafka.access("gateway"))
        env = environment.of_gateway(self._settings, kafka, *stored)
        return self._launch("gateway", command, env, port)

    def _launch_superset(self) -> None:
        """Superset imports for seconds: it starts first, and is waited for last."""
        settings = self._settings
        if settings.superset_url is not None:
            password = settings.superset_password.get_secret_value() if settings.superset_password else ""
            self._note("superset", settings.superset_url, settings.superset_user, password)
            return
        ensure_superset(self._say)
        superset = SupersetNode(self._data / "superset", self._logs / "superset.log", self._ports.port("superset"))
        self._superset = superset
        superset.launch()
        assert superset.child is not None
        self._children["superset"] = superset.child
        self._note("superset", superset.url, superset.user, superset.password)

    def _publish(self) -> Published:
        superset = self._stack.parts["superset"]
        reader = Database(self.clickhouse_url, self._settings.clickhouse_boards_user, self._boards_password)
        return publish(superset.url or "", superset.user or "", superset.password or "", reader)

    @property
    def board(self) -> Part | None:
        """Where the board is and how to log in, once it is published."""
        return self._stack.parts.get("boards")

    def _launch(self, name: str, command: list[str], env: dict[str, str], port: int) -> tuple[str, str]:
        """Start a child that listens on ``port``, without waiting; its name and where it tells of its health."""
        child = Child(name, command, self._logs / f"{name}.log", env)
        child.start()
        self._children[name] = child
        url = f"http://127.0.0.1:{port}"
        self._note(name, url)
        return name, f"{url}/health"

    def _note(self, name: str, url: str, user: str | None = None, password: str | None = None) -> None:
        child = self._children.get(name)
        if child is None:
            self._stack.parts[name] = Part("external", None, url, user, password)
        else:
            self._stack.parts[name] = part_of(child, url, user, password)
            self._supervisor.started(name)
        self._stack.parts.setdefault(PARENT, Part("starting", os.getpid(), born=born(os.getpid())))
        self._stack.save(self._data)

    def watch(self) -> None:
        """Start again what ended, see Supervisor. Call it every second or so."""
        self._supervisor.look()

    def stop(self) -> None:
        """Stop the children: first who uses the stores, then ClickHouse, then all of Kafka together."""
        self._supervisor.close()
        for stage in STOPPING:
            stop_together([child for name, child in self._children.items() if name.startswith(stage)])
        for part in self._stack.parts.values():
            if part.state != "external":
                part.state, part.pid, part.said = "stopped", None, ""
        if self._stack.parts:
            with suppress(OSError):  # a full disk: whoever reads it sees that the processes are gone
                self._stack.save(self._data)
        self._lock.close()
