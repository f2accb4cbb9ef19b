"""``status`` asks a broker that does not know its groups yet, and lives to say what it was told.

librdkafka 2.8 ends the whole process when such a broker answers an AdminClient's list_consumer_group_offsets.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.broker import broker

ASKER = """
import sys, time
from tokenmeter.events.groups import GROUPS
from tokenmeter.stack.status.positions import positions
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    try:
        print(sorted(positions({"bootstrap.servers": sys.argv[1]}, list(GROUPS), 0.8)))
        break
    except Exception as error:
        print(error)
    time.sleep(0.01)
"""


def test_a_young_broker_is_asked_until_it_knows_its_groups(tmp_path: Path) -> None:
    with broker(tmp_path) as node:
        done = subprocess.run(
            [sys.executable, "-c", ASKER, node.bootstrap], capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[-1] == "['ledger', 'load', 'meter', 'watch']", done.stdout
