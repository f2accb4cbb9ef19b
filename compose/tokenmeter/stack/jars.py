"""Apache Kafka's jars: exact coordinates with their SHA-256, fetched once into the user's cache, checked each time."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from platformdirs import user_cache_path

from tokenmeter.events.errors import Fatal

KAFKA_VERSION = "4.2.2"
LOCK = f"kafka-{KAFKA_VERSION}.lock"


@dataclass(frozen=True)
class Jar:
    """One Maven coordinate and the SHA-256 (hex) of its file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked() -> list[Jar]:
    """The jars of the bundled lock file, ``group:artifact:version sha256`` a line."""
    text = (files(__package__) / LOCK).read_text("utf-8")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return [Jar(*(*coordinate.split(":", 2), digest)) for coordinate, digest in rows]


def cache_path() -> Path:
    """Where tokenmeter keeps what it fetched; moved by XDG_CACHE_HOME."""
    return user_cache_path("tokenmeter")


def kafka_jars(on_progress: Callable[[int, int], None] = lambda done, of: None) -> Path:
    """A folder with every jar, complete and checked. ``on_progress(done, of)`` counts files.

    Raises Fatal naming the coordinate that could not be fetched or whose bytes are not the locked ones.
    """
    folder = cache_path() / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    jars = locked()
    for done, jar in enumerate(jars):
        path = folder / jar.file_name
        if not path.exists() or _sha256(path) != jar.sha256:
            _fetch(jar, path)
        on_progress(done + 1, len(jars))
    return folder


def _fetch(jar: Jar, path: Path) -> None:
    from jgo.maven import MavenContext

    name = f"{jar.group}:{jar.artifact}:{jar.version}"
    try:
        context = MavenContext(repo_cache=cache_path() / "maven")
        fetched = Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
    except Exception as error:  # the client raises its own and its HTTP library's kinds
        raise Fatal(
            f"cannot fetch Kafka's jar {name}: {error}",
            hint="check the network to the package registries, then run the command again",
        ) from error
    found = _sha256(fetched)
    if found != jar.sha256:
        fetched.unlink()
        raise Fatal(f"{name} has SHA-256 {found}, the lock says {jar.sha256}", hint="run the command again")
    partial = path.with_suffix(".part")
    shutil.copyfile(fetched, partial)
    partial.replace(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
