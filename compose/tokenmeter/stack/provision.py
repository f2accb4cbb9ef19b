"""What ``make setup`` does after pip: fetch what is not a Python package, and say how long it took."""

from __future__ import annotations

import sys
import time

from tokenmeter.events.errors import TokenmeterError
from tokenmeter.stack.jars import kafka_jars


def main() -> None:
    """Fetch Kafka's jars; quick when they are there."""
    began = time.monotonic()
    try:
        folder = kafka_jars()
    except TokenmeterError as error:
        sys.exit(f"setup: {error}")
    print(f"setup: Apache Kafka ({folder.name}) ready after {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
