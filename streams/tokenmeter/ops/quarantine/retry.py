"""Retries what is quarantined: fence, read, validate, release; a dry run judges alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from clickhouse_connect.driver.client import Client

from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.groups import LOAD
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import validate
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.partitioner import partition_of
from tokenmeter.kafka.positions import wait_past
from tokenmeter.ops.quarantine.ledger import KAFKA_PARTITION, POSITION, Ledger, ledger, read
from tokenmeter.ops.quarantine.plan import SEND, Counted, Identity, Position, Verdict, verdicts
from tokenmeter.ops.quarantine.release import Release, Releaser
from tokenmeter.store.statement import sql

RELEASE_EVENTS_MAX = 1_000
"""Events of one transaction: few enough to commit well within the dedup horizon."""
LOADED_TIMEOUT_S = 60.0
ASKED_AT_ONCE = 100
"""Identities in one question to ClickHouse: they travel in its URL."""


@dataclass(frozen=True)
class Choice:
    """Which quarantined events: all, those of some reasons, or some positions."""

    everything: bool = False
    reasons: frozenset[str] = frozenset()
    positions: frozenset[Position] = frozenset()

    def of(self, found: Ledger) -> pl.DataFrame:
        """The open ones of them. Raises Misconfigured naming a position that never was in quarantine."""
        known = set(found.quarantined.select(POSITION).iter_rows())
        if strange := sorted(self.positions - known):
            raise Misconfigured(
                f"{EVENTS} {strange[0][0]}:{strange[0][1]} is not in quarantine", hint="tokenmeter quarantine list"
            )
        if self.everything:
            return found.open
        chosen = pl.struct(POSITION).is_in([dict(zip(POSITION, at, strict=True)) for at in sorted(self.positions)])
        return found.open.filter(pl.col("reason").is_in(list(self.reasons)) | (chosen if self.positions else False))


@dataclass
class Outcome:
    """``released`` of the positions to ``SEND`` were committed; the others have their verdict."""

    verdicts: list[Verdict] = field(default_factory=list)
    released: int = 0


def retry(
    client: Mapping[str, Any],
    choice: Choice,
    counted: Counted,
    releaser: Releaser | None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Judge the chosen events, and with a ``releaser`` send those that are accepted now.

    ``counted`` must know every event appended longer than a dedup horizon ago, by its first position; what came since,
    the meter tells apart.
    Raises Fenced when another retry begins meanwhile; what was released until then stays released, once.
    """
    if releaser is not None:
        releaser.fence()
    found_now = ledger(client)
    chosen = choice.of(found_now).select(POSITION)
    quarantined = set(found_now.quarantined.select(POSITION).iter_rows())
    outcome = Outcome()
    sent: set[Identity] = set()
    done: set[Position] = set()
    for records in read(client) if chosen.height else ():
        rows = records.join(chosen, on=POSITION, how="semi", maintain_order="left")
        for at in range(0, rows.height, RELEASE_EVENTS_MAX):
            part = rows[at : at + RELEASE_EVENTS_MAX]
            # A release repeats the position it ends; the record that opened it came first.
            part = part.filter([position not in done for position in part.select(POSITION).iter_rows()])
            found = verdicts(part, now_ms(), _elsewhere(client, counted, quarantined), sent)
            done |= set(part.select(POSITION).iter_rows())
            releases = [
                Release({k: v for k, v in row.items() if k != KAFKA_PARTITION}, row[KAFKA_PARTITION], *_who(one))
                for row, one in zip(part.iter_rows(named=True), found, strict=True)
                if one.verdict == SEND
            ]
            if releaser is not None and releases:
                releaser.release(releases)
                outcome.released += len(releases)
            outcome.verdicts += found
            progress(len(done), chosen.height)
    return outcome


def _elsewhere(client: Mapping[str, Any], counted: Counted, quarantined: set[Position]) -> Counted:
    """What is counted at a position that is not itself in quarantine.

    A loader that was upgraded before it came to a quarantined event has stored it where it stands, and that row hides
    a repeat behind it: then the log is asked.
    """

    partitions = KafkaLogReader(client).partitions(EVENTS)

    def answer(identities: Sequence[Identity]) -> dict[Identity, Position]:
        found = dict(counted(identities))
        hidden = {who: at for who, at in found.items() if at in quarantined}
        for who in hidden:
            del found[who]
        places = dict(hidden)
        # A row that was stored where it was misrouted hides any on the customer's own partition.
        places |= {who: (home, -1) for who, at in hidden.items() if (home := partition_of(who[0], partitions)) != at[0]}
        for partition in {at[0] for at in places.values()}:
            wanted = {who: at for who, at in places.items() if at[0] == partition}
            found |= _in_log(client, partition, wanted, quarantined)
        return found

    return answer


def _in_log(
    client: Mapping[str, Any], partition: int, wanted: Mapping[Identity, Position], quarantined: set[Position]
) -> dict[Identity, Position]:
    """Where a usable event of each identity stands behind its quarantined one, if anywhere."""
    log = KafkaLogReader(client)
    last = log.last(EVENTS, partition)
    start = max(min(offset for _, offset in wanted.values()) + 1, log.start(EVENTS, partition))
    found: dict[Identity, Position] = {}
    asked = pl.DataFrame(sorted(wanted), schema=["customer_id", "event_id"], orient="row")
    for batch in log.read(EVENTS, partition, start, last[0] + 1) if last is not None else ():
        decoded = decode(batch.values).frame
        usable, _ = validate(decoded, batch.appended_at_ms()[decoded[INDEX].to_numpy()])
        offsets = batch.offsets()
        for customer, event, index in (
            usable.join(asked, on=["customer_id", "event_id"], how="semi")
            .select("customer_id", "event_id", INDEX)
            .iter_rows()
        ):
            if (position := (partition, int(offsets[index]))) not in quarantined:
                found[customer, event] = position
    return found


def _who(verdict: Verdict) -> Identity:
    assert verdict.customer_id is not None
    assert verdict.event_id is not None
    return verdict.customer_id, verdict.event_id


def counted_in(client: Mapping[str, Any], clickhouse: Client, timeout_s: float = LOADED_TIMEOUT_S) -> Counted:
    """Asks ClickHouse, once it holds all that is on usage.events at that moment."""

    def counted(identities: Sequence[Identity]) -> dict[Identity, Position]:
        if not identities:
            return {}
        _wait_loaded(client, timeout_s)
        statement = sql("counted", "tokenmeter.ops.quarantine")
        wanted = set(identities)
        found: dict[Identity, Position] = {}
        for at in range(0, len(identities), ASKED_AT_ONCE):
            part = identities[at : at + ASKED_AT_ONCE]
            parameters = {"customers": [customer for customer, _ in part], "events": [event for _, event in part]}
            for customer, event, partition, offset in clickhouse.query(statement, parameters=parameters).result_rows:
                if (customer, event) in wanted:
                    found[customer, event] = (partition, offset)
        return found

    return counted


def _wait_loaded(client: Mapping[str, Any], timeout_s: float) -> None:
    """Return once the loader has committed everything that usage.events holds now."""
    log = KafkaLogReader(client)
    lasts = {(EVENTS, partition): log.last(EVENTS, partition) for partition in range(log.partitions(EVENTS))}
    ends = {place: last[0] + 1 for place, last in lasts.items() if last is not None}
    if (behind := wait_past(client, LOAD.id, ends, timeout_s)) is not None:
        raise Fatal(
            f"ClickHouse has not loaded {EVENTS}/{behind.place[1]} to offset {behind.end - 1} yet, so what is counted "
            "already is not known",
            hint="tokenmeter status; then run the retry again",
        )
