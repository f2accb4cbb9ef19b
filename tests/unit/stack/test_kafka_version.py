"""A node's directory is refused in plain words when a later Kafka has written it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.kafka_version import VERSION_FILE, note_version, require_readable


def test_what_this_kafka_has_made_and_what_an_earlier_one_has_is_read(tmp_path: Path) -> None:
    note_version(tmp_path)
    require_readable(tmp_path)
    (tmp_path / VERSION_FILE).write_text("4.1.12\n")
    require_readable(tmp_path)


@pytest.mark.parametrize("noted", [None, "4.4.0", "4.10.0"])
def test_what_a_later_one_has_written_is_refused(tmp_path: Path, noted: str | None) -> None:
    if noted is not None:
        (tmp_path / VERSION_FILE).write_text(noted)
    with pytest.raises(Misconfigured, match=rf"{noted or '4.4.0'}.*cannot read it.*TOKENMETER_KAFKA_BOOTSTRAP"):
        require_readable(tmp_path)
