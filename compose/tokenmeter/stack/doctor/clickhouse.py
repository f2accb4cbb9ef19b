"""What is looked at of ClickHouse: its version, clock, migrations, where its rows are from, and the boards' user."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tokenmeter.stack.doctor.finding import Finding
from tokenmeter.store.migrate import bundled
from tokenmeter.store.statement import sql
from tokenmeter.store.topics import loaded_topics, made_anew

TESTED = (26, 9)
ZONES_UTC = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"})
SKEW_MAX_S = 5.0
"""Events are accepted five minutes ahead of the broker's time; alerts and boards are about seconds."""


def clickhouse(client: Client) -> list[Finding]:
    """As the user that loads."""
    return [_version(str(client.server_version)), clock(client), migrations(client)]


def _version(text: str) -> Finding:
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    tested = ".".join(map(str, TESTED))
    if version < TESTED:
        return Finding("clickhouse", None, f"version {text}; older than {tested}, with which tokenmeter is tested")
    return Finding("clickhouse", True, f"version {text}")


def clock(client: Client, now_s: Callable[[], float] = time.time) -> Finding:
    """How far its clock is from ours, the way there and back left out."""
    before = now_s()
    theirs = client.query("SELECT now64(3, 'UTC')").result_rows[0][0].replace(tzinfo=UTC).timestamp()
    after = now_s()
    skew_s = max(0.0, before - theirs, theirs - after)
    if skew_s > SKEW_MAX_S:
        said = f"ClickHouse's clock and this machine's are {skew_s:.1f} s apart"
        return Finding("clocks", False, said, "timedatectl set-ntp true, on both machines")
    return Finding(
        "clocks", True, f"ClickHouse's clock and this machine's agree to {max(skew_s, after - before):.1f} s"
    )


def migrations(client: Client) -> Finding:
    """Whether the tables are those of this version."""
    try:
        rows = client.query("SELECT name, checksum FROM tokenmeter.schema_migrations FINAL").result_rows
    except ClickHouseError:
        return Finding("clickhouse tables", False, "there are none", "tokenmeter migrate")
    done = {str(name): str(checksum) for name, checksum in rows}
    ours = {one.name: one.checksum for one in bundled()}
    if edited := sorted(name for name in ours if done.get(name, ours[name]) != ours[name]):
        said = f"applied with another text: {', '.join(edited[:3])}"
        return Finding("clickhouse tables", False, said, "restore these files; a change is a new migration")
    if newer := sorted({*done} - {*ours}):
        said = f"made by a newer tokenmeter: {', '.join(newer[:3])}"
        return Finding("clickhouse tables", False, said, "pip install --upgrade tokenmeter")
    if pending := len({*ours} - {*done}):
        return Finding("clickhouse tables", False, f"{pending} migrations are not applied", "tokenmeter migrate")
    return Finding("clickhouse tables", True, f"{len(ours)} migrations applied")


def topics(client: Client, ids: Mapping[str, str]) -> list[Finding]:
    """Whether it was loaded from the topics that Kafka has now, by their ``ids``."""
    others = made_anew(loaded_topics(client), ids)
    if not others:
        return []
    said = f"loaded from topics that were deleted and made anew since: {', '.join(others)}"
    return [Finding("clickhouse rows", False, said, "tokenmeter rebuild --accept-loss --yes")]


def boards_user(reader: Client) -> Finding:
    """The user of the boards reads them, and nothing that is not theirs."""
    what = "clickhouse boards user"
    try:
        reader.query(sql("boards_readable"))
    except ClickHouseError as error:
        said = f"cannot read boards: {str(error).splitlines()[0][:160]}"
        return Finding(what, False, said, "GRANT SELECT ON boards.* TO the user, with readonly = 1")
    # Superset writes the ends of a range of time without a zone: they are read in that of the user's session.
    zone = str(reader.query("SELECT timezone()").result_rows[0][0])
    if zone not in ZONES_UTC:
        mend = "ALTER USER of the boards SETTINGS session_timezone = 'UTC'"
        return Finding(what, False, f"its sessions are in {zone}: ranges of time on boards would be shifted", mend)
    try:
        reader.query("SELECT count() FROM tokenmeter.usage_billing")
    except ClickHouseError:
        return Finding(what, True, "reads boards alone")
    return Finding(what, False, "reads every table, customers' keys too", "REVOKE SELECT ON tokenmeter.* FROM the user")
