"""What ``make setup`` does after pip: fetch what is not a Python package, and say how long it took."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tokenmeter.events.errors import Fatal, TokenmeterError
from tokenmeter.stack.jars import kafka_jars
from tokenmeter.stack.jvm import archive
from tokenmeter.stack.kafka import write_archive
from tokenmeter.stack.superset_venv import ensure_superset

SAY_EVERY_S = 1.0


def main() -> None:
    """Fetch Kafka's jars, make Superset's environment, side by side; quick when they are there."""
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(1) as beside:
            superset = beside.submit(ensure_superset, _say)
            folder = kafka_jars(_Fetching())
            _say(f"Apache Kafka ({folder.name}) ready after {time.monotonic() - began:.1f} s")
            if not archive().exists():
                _say("starting Kafka once, so that it starts faster from now on ...")
                _prepare()
                _say(f"Kafka's classes ready after {time.monotonic() - began:.1f} s")
            folder = superset.result()
        _say(f"Superset ({folder.name}) ready after {time.monotonic() - began:.1f} s")
    except TokenmeterError as error:
        sys.exit(f"setup: {error}")


class _Fetching:
    """Says how many jars are there, once a second while they are fetched."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self._said_at >= SAY_EVERY_S:
            _say(f"Kafka's jars: {done} of {of}")
            self._said_at = time.monotonic()


def _prepare() -> None:
    """Kafka starts without its archive too, only later."""
    try:
        write_archive()
    except Fatal as error:
        _say(f"Kafka will start more slowly: {error}")


def _say(line: str) -> None:
    print(f"setup: {line}", flush=True)


if __name__ == "__main__":
    main()
