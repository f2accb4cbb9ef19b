"""``tokenmeter doctor``: each thing that can be wrong is found and names what mends it; what is right is not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tokenmeter.cli.settings import Settings
from tokenmeter.stack.doctor import here
from tokenmeter.stack.doctor.clickhouse import boards_user, clock, migrations, topics
from tokenmeter.stack.doctor.finding import Finding, is_well
from tokenmeter.store.migrate import bundled

HISTORY = {one.name: one.checksum for one in bundled()}
LAST = max(HISTORY)


class Answers:
    """A ClickHouse that has these rows for the statements that contain a word, and refuses others."""

    server_version = "26.9.2.1"

    def __init__(self, **rows: Any) -> None:
        self._rows = rows

    def query(self, statement: str, *_: object, **__: object) -> Any:
        for word, rows in self._rows.items():
            if word in statement:
                return type("Result", (), {"result_rows": rows})
        raise DatabaseError("Code: 60. There is no such table")


def test_a_slip_in_a_variable_s_name_is_found_and_ours_and_others_are_not() -> None:
    right = {"TOKENMETER_PAGE_SECONDS": "2", "TOKENMETER_SPOOL": "/x", "PATH": "/bin"}
    assert is_well(here.settings(right))
    found = here.settings({**right, "TOKENMETER_KAFKA_BOOTSTRAPS": "x"})
    assert [one.ok for one in found] == [False]
    assert found[0].mend == "unset TOKENMETER_KAFKA_BOOTSTRAPS; did you mean TOKENMETER_KAFKA_BOOTSTRAP?"


def test_a_full_disk_is_found(tmp_path: Path) -> None:
    assert is_well(here.disk(Settings(data=tmp_path / "new", disk_free_min_mb=1)))
    full = here.disk(Settings(data=tmp_path / "new", disk_free_min_mb=1 << 40))
    assert full[0].ok is False
    assert "--data DIR" in (full[0].mend or "")


@pytest.mark.parametrize(
    ("history", "mend"),
    [
        (HISTORY, None),
        ({name: HISTORY[name] for name in HISTORY if name != LAST}, "tokenmeter migrate"),
        ({**HISTORY, LAST: "another"}, "restore these files"),
        ({**HISTORY, "9999_of_tomorrow": "x"}, "pip install --upgrade"),
        (None, "tokenmeter migrate"),
    ],
)
def test_tables_of_another_version_are_found(history: dict[str, str] | None, mend: str | None) -> None:
    given = {} if history is None else {"schema_migrations": list(history.items())}
    found = migrations(Answers(**given))  # type: ignore[arg-type]
    assert found.ok is (mend is None)
    assert (mend or "") in (found.mend or "")


@pytest.mark.parametrize(("theirs_s", "ok"), [(1000.0, True), (1003.0, True), (1060.0, False), (940.0, False)])
def test_clocks_that_are_apart_are_found(theirs_s: float, ok: bool) -> None:
    answers = Answers(now64=[(datetime.fromtimestamp(theirs_s, UTC).replace(tzinfo=None),)])
    assert clock(answers, lambda: 1000.0).ok is ok  # type: ignore[arg-type]


def test_a_boards_user_that_reads_too_much_or_too_little_is_found() -> None:
    utc = {"pipeline": [(1,)], "timezone": [("UTC",)]}
    assert boards_user(Answers(**utc)).ok is True  # type: ignore[arg-type]
    assert boards_user(Answers(**utc, usage_billing=[(1,)])).ok is False  # type: ignore[arg-type]
    assert boards_user(Answers(**{**utc, "timezone": [("Europe/Moscow",)]})).ok is False  # type: ignore[arg-type]
    assert boards_user(Answers()).ok is False  # type: ignore[arg-type]


def test_topics_that_were_made_anew_are_found() -> None:
    store: Any = Answers(loaded_topics=[("usage.events", "a"), ("usage.pages", "b")])
    assert topics(store, {"usage.events": "a", "usage.pages": "b"}) == []
    said = "loaded from topics that were deleted and made anew since: usage.events"
    mend = "tokenmeter rebuild --accept-loss --yes"
    assert topics(store, {"usage.events": "other", "usage.pages": "b"}) == [
        Finding("clickhouse rows", False, said, mend)
    ]
