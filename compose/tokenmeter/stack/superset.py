"""One Superset on this machine: loopback only, its metadata in SQLite, its secrets in a file only the user can read."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import free_port
from tokenmeter.stack.superset_venv import TEMPLATE, ensure_superset, site_environment

ADMIN = "admin"
THREADS = 4
START_TIMEOUT_S = 90.0
REQUEST_TIMEOUT_S = 120
GRACE_S = 5


class SupersetNode:
    """Superset over ``data``. start() returns once it answers; stop() and kill() end it, the data stays."""

    def __init__(self, data: Path, log: Path, port: int | None = None) -> None:
        self._data = data.absolute()
        self._log = log
        self._port = port or free_port()
        self.child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def user(self) -> str:
        """The administrator's name."""
        return ADMIN

    @property
    def password(self) -> str:
        """The administrator's generated password. Raises Fatal if the data folder's secrets cannot be read."""
        self._prepare_secrets()
        try:
            return str(json.loads(self._secrets.read_text("utf-8"))["password"])
        except (OSError, ValueError, KeyError) as error:
            raise Fatal(
                f"Superset's secrets in {self._secrets} cannot be read: {error}",
                hint=f"move {self._data} away and start again; published boards come back with the next publish",
            ) from error

    def start(self) -> None:
        """Prepare ``data`` on first use, start Superset, wait for it. Raises Fatal naming the log."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Prepare ``data`` on first use and start Superset, without waiting for it."""
        venv = ensure_superset()
        self._prepare_secrets()
        self._prepare_metadata(venv / TEMPLATE)
        command = [str(venv / "bin" / "python"), "-m", "gunicorn", "superset_serve:app"]
        command += ["--bind", f"127.0.0.1:{self._port}", "--workers", "1"]
        command += ["--worker-class", "gthread", "--threads", str(THREADS), "--timeout", str(REQUEST_TIMEOUT_S)]
        command += ["--graceful-timeout", str(GRACE_S), "--log-level", "warning", "--no-control-socket"]
        self.child = Child("superset", command, self._log, site_environment(self._data))
        self.child.start()

    def stop(self) -> None:
        """Stop cleanly."""
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        """End server and worker at once."""
        if self.child is not None and self.child.pid is not None and self.child.is_alive():
            with suppress(ProcessLookupError):  # it ended by itself in between
                os.killpg(self.child.pid, signal.SIGKILL)
            self.child.kill()

    @property
    def _secrets(self) -> Path:
        return self._data / "secrets.json"

    def _prepare_secrets(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._secrets.exists():
            return
        made = {"secret_key": secrets.token_hex(32), "user": ADMIN, "password": secrets.token_urlsafe(18)}
        partial = self._data / "secrets.part"
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
        partial.replace(self._secrets)

    def _prepare_metadata(self, template: Path) -> None:
        metadata = self._data / "metadata.db"
        if metadata.exists():
            return
        partial = self._data / "metadata.part"
        shutil.copyfile(template, partial)
        partial.chmod(0o600)
        partial.replace(metadata)

    def wait(self) -> None:
        """Until it answers. Raises Fatal naming the log."""
        assert self.child is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.child.is_alive():
                raise Fatal(
                    f"Superset ended while starting; its log ends with: {self.child.log_tail()}",
                    hint=f"see {self._log}",
                )
            try:
                if httpx.get(f"{self.url}/health", timeout=5, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        self.kill()
        raise Fatal(f"Superset did not answer on {self.url} within {START_TIMEOUT_S:.0f} s", hint=f"see {self._log}")
