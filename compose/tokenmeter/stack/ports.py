"""The ports of a local stack: chosen once and kept in its data directory, so that whoever uses it finds it again.

They are chosen below those from which the system serves outgoing connections, which would take one now and then while
the stack is down.
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterable
from pathlib import Path

from tokenmeter.events.errors import Misconfigured

FILE = "ports.json"
FIRST, BELOW = 10_000, 32_768
TRIES_MAX = 1_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether nobody listens there; connections that only wait for their end do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _random_port() -> int:
    try:
        below = int(_RANGE.read_text("utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        below = BELOW
    return random.randrange(FIRST, below if below > 2 * FIRST else BELOW)


class Ports:
    """By name of a part. With ``base`` they are base, base + 1 and so on, in the order of ``names``."""

    def __init__(self, data: Path, names: Iterable[str], base: int | None = None) -> None:
        self._path = data / FILE
        self._names = list(names)
        self._kept = self._read()
        if base is not None:
            self._kept = {name: base + number for number, name in enumerate(self._names)}
            self._save()

    def require_free(self) -> None:
        """Raises Misconfigured naming the first of the kept ports, of those in ``names``, that somebody else has."""
        for name in self._names:
            if name in self._kept and not is_free(self._kept[name]):
                raise Misconfigured(
                    f"port {self._kept[name]}, which {name} has kept in {self._path}, is used by another program",
                    hint="stop that program, or choose other ports with --port-base N (and tell the producers)",
                )

    def port(self, name: str) -> int:
        """The one kept, or a free one that is kept from now on."""
        if name not in self._kept:
            self._kept[name] = self._choose()
            self._save()
        return self._kept[name]

    def _choose(self) -> int:
        taken = set(self._kept.values())
        for _ in range(TRIES_MAX):
            port = _random_port()
            if port not in taken and is_free(port):
                return port
        raise Misconfigured("no port is free on this machine", hint="choose ports with --port-base N")

    def _read(self) -> dict[str, int]:
        try:
            return {str(name): int(port) for name, port in json.loads(self._path.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise Misconfigured(
                f"{self._path} is damaged, so the ports of this stack are not known",
                hint=f"rm {self._path} for new ones (and tell the producers)",
            ) from error

    def _save(self) -> None:
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps(self._kept, indent=2), "utf-8")
        partial.replace(self._path)
