"""Faults in what is sent: out of order, late, early, skewed clocks, poison of every kind, mixed schema versions."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from faults.fault import Fault
from support.bad_input import Bench, Sent, bench
from support.events import event
from support.next_version import next_record, next_value
from support.outcome import Outcome
from tokenmeter.events import Poison, encode, wire
from tokenmeter.flow.faust.worker import EXIT_CRASHED

GOOD = 60
"""Good events around each injection ..."""
BAD = 20
"""... and bad ones among them: less than half, or the meter would rightly stop."""
LARGE_BYTES = 1_000_000
OUTAGE_EVENTS = 1_200
CONTROL_INJECTIONS = 3

Make = Callable[[random.Random, int], list[Sent]]
"""The values of one injection, given a number that no other injection of the run has."""


def now() -> datetime:
    return datetime.now(UTC)


def good(number: int, **fields: Any) -> Sent:
    """An event that must be metered, with a customer of its own."""
    customer = f"customer-{number:07d}"
    made = event(number, **{"customer_id": customer, "occurred_at": now(), **fields})
    return Sent(customer, encode("usage_event", made.to_record()), made.to_record())


def bad(number: int, reason: str, value: bytes) -> Sent:
    return Sent(f"customer-{number:07d}", value, None, reason)


def record_of(number: int, **fields: Any) -> dict[str, Any]:
    """A record that the models would refuse to build."""
    customer = f"broken-{number:07d}"
    return {**event(number, customer_id=customer, occurred_at=now()).to_record(), **fields}


def among(chance: random.Random, number: int, others: list[Sent]) -> list[Sent]:
    """``others`` mixed into good events."""
    first = number * (GOOD + BAD)
    values = [*(good(first + n) for n in range(GOOD)), *others]
    chance.shuffle(values)
    return values


def numbers(number: int) -> range:
    """Numbers for the bad ones of an injection."""
    return range(number * (GOOD + BAD) + GOOD, (number + 1) * (GOOD + BAD))


def out_of_order(chance: random.Random, number: int) -> list[Sent]:
    """Hours apart in any order, each second one sent again by an emitter with another name."""
    values = []
    for n in numbers(number):
        first = good(n, occurred_at=now() - timedelta(seconds=chance.randrange(200_000)))
        assert first.record is not None
        again = encode("usage_event", {**first.record, "source": "another", "sequence": None})
        values += [first, Sent(first.key, again)] if n % 2 else [first]
    return among(chance, number, values)


def in_time(reason: str, accepted: timedelta, refused: timedelta) -> Make:
    """Events ``accepted`` away from now are metered, those ``refused`` away are not, whatever their producers say."""

    def make(chance: random.Random, number: int) -> list[Sent]:
        values = []
        for n in numbers(number):
            away = accepted if n % 2 else refused
            made = event(n, customer_id=f"customer-{n:07d}", occurred_at=now() + away).to_record()
            created_ms = int((now() + min(away, timedelta(0))).timestamp() * 1000)
            is_good = away == accepted
            value = encode("usage_event", made)
            key = made["customer_id"]
            values.append(Sent(key, value, made if is_good else None, None if is_good else reason, created_ms))
        return among(chance, number, values)

    return make


def skewed(chance: random.Random, number: int) -> list[Sent]:
    """Punctual events of producers whose clocks are up to a year behind; only the broker's clock may count."""
    behind = [timedelta(days=chance.randrange(1, 365)) for _ in numbers(number)]
    values = []
    for n, away in zip(numbers(number), behind, strict=True):
        one = good(n)
        values.append(Sent(one.key, one.value, one.record, None, int((now() - away).timestamp() * 1000)))
    return among(chance, number, values)


def poison(reason: str, spoil: Callable[[random.Random, int], bytes]) -> Make:
    def make(chance: random.Random, number: int) -> list[Sent]:
        return among(chance, number, [bad(n, reason, spoil(chance, n)) for n in numbers(number)])

    return make


def _value(number: int, **fields: Any) -> bytes:
    return encode("usage_event", record_of(number, **fields))


def cut_short(chance: random.Random, number: int, n: int) -> Sent:
    """A truncated value; where the cut falls into a number, readers of Avro say ``avro``, and so the slow one does."""
    value = truncated(chance, n)
    try:
        wire.decode(value, expect="usage_event")
    except Poison as poison:
        return bad(number, poison.reason, value)
    raise AssertionError("a value that was cut can be read")


def cut(chance: random.Random, number: int) -> list[Sent]:
    return among(chance, number, [cut_short(chance, n, n) for n in numbers(number)])


def truncated(chance: random.Random, number: int) -> bytes:
    value = _value(number)
    return value[: chance.randrange(wire.PREFIX_BYTES, len(value))]


def followed(chance: random.Random, number: int) -> bytes:
    """A second record behind the first: without a proof, all later rows of the block are another's."""
    return _value(number) + _value(number)[wire.PREFIX_BYTES :]


def foreign(chance: random.Random, number: int) -> bytes:
    return b"\x00" + chance.randrange(1_000, 1 << 31).to_bytes(4, "big") + _value(number)[wire.PREFIX_BYTES :]


def negative(chance: random.Random, number: int) -> bytes:
    return _value(number, input_tokens=-chance.randrange(1, 1_000), cached_input_tokens=0)


def broken(chance: random.Random, number: int) -> bytes:
    return _value(number, output_tokens=10, reasoning_tokens=10 + chance.randrange(1, 1_000))


def large(chance: random.Random, number: int) -> bytes:
    return (_value(number) + chance.randbytes(LARGE_BYTES))[:LARGE_BYTES]


def not_utf8(chance: random.Random, number: int) -> bytes:
    """The event id with a byte that begins nothing: only a check of the text sees it."""
    value = bytearray(_value(number))
    value[value.index(b"event-") + chance.randrange(5)] = 0xFF
    return bytes(value)


def mixed_versions(chance: random.Random, number: int) -> list[Sent]:
    values = []
    for n in numbers(number):
        record = next_record(n, customer_id=f"customer-{n:07d}", occurred_at=now())
        value = next_value(n, customer_id=record["customer_id"], occurred_at=record["occurred_at"])
        values.append(Sent(record["customer_id"], value, record))
    return among(chance, number, values)


def inject(made: Bench, make: Make, times: int, seed: int) -> Outcome:
    """``times`` injections into one meter, each metered before the next."""
    chance = random.Random(seed)
    for number in range(times):
        made.send(make(chance, number))
        made.wait()
    return made.outcome(times)


def declared(
    name: str, breaks: str, make: Make, mutant: str, *, wrong: dict[str, Any], right: dict[str, Any] | None = None
) -> Fault:
    """A fault whose injections are all of one make; ``wrong`` is what the bench of the control has in another way."""

    def run(folder: Path, times: int, seed: int) -> Outcome:
        with bench(folder, **(right or {})) as made:
            made.start()
            return inject(made, make, times, seed)

    def control(folder: Path, seed: int) -> str:
        with bench(folder, **wrong) as made:
            made.start()
            outcome = inject(made, make, CONTROL_INJECTIONS, seed)
        return "" if outcome.holds else str(outcome)

    invariant = "each usable event is metered once under its own customer, each other is kept with bytes and reason"
    return Fault(name, breaks, invariant, run, mutant, control)


def all_poison(folder: Path, times: int, seed: int, mutant: str | None = None) -> Outcome:
    """Nothing but poison: the meter ends and says why; with the ratio raised it goes on where it was."""
    chance, wrong = random.Random(seed), []
    with bench(folder, page_seconds=3.0, page_events=100_000, slot="1", mutant=mutant) as made:
        for number in range(times):
            first = number * (OUTAGE_EVENTS + GOOD)
            made.send([cut_short(chance, first, first + n) for n in range(OUTAGE_EVENTS)])
            made.send([good(first + OUTAGE_EVENTS + n) for n in range(GOOD)])
            meter = made.start()
            if mutant is None:
                if (
                    meter.wait_ended() != EXIT_CRASHED
                    or "cannot be used (mostly: truncated" not in meter.log.read_text()
                ):
                    wrong.append(f"injection {number}: the meter did not stop with the reason")
                meter = made.start(quarantine_ratio_max=1.0)
            made.wait()
            meter.kill()
        outcome = made.outcome(times)
    return Outcome(times, outcome.sent, outcome.lost, outcome.doubled, (*outcome.wrong, *wrong), outcome.recover_s)


def all_poison_control(folder: Path, seed: int) -> str:
    outcome = all_poison(folder, 1, seed, "skip_bad")
    return "" if outcome.holds else str(outcome)


SKIPS = "a meter that leaves bad events out and says nothing"
BY_PRODUCER = "a topic on which the time of arrival is what the producer says"
SKIP, PRODUCER_TIME = {"mutant": "skip_bad"}, {"created_time": True}

FAULTS: list[Fault] = [
    declared(
        "out_of_order",
        "events hours apart in any order, half of them repeated",
        out_of_order,
        "a meter that remembers no identity",
        wrong={"horizon_ms": -1},
    ),
    declared(
        "late",
        "events 34 and 36 days old",
        in_time("late", timedelta(days=-34), timedelta(days=-36)),
        BY_PRODUCER,
        wrong=PRODUCER_TIME,
    ),
    declared(
        "early",
        "events 4 and 6 minutes ahead",
        in_time("early", timedelta(minutes=4), timedelta(minutes=6)),
        SKIPS,
        wrong=SKIP,
    ),
    declared("skewed_clocks", "producers up to a year behind", skewed, BY_PRODUCER, wrong=PRODUCER_TIME),
    declared("truncated", "values cut short", cut, SKIPS, wrong=SKIP),
    declared(
        "followed",
        "values with a second record behind",
        poison("avro", followed),
        "a decoder without sentinel and prefix proofs",
        wrong={"mutant": "blind_decode"},
    ),
    declared("unknown_schema", "schema ids nobody knows", poison("schema", foreign), SKIPS, wrong=SKIP),
    declared("negative_tokens", "negative token counts", poison("negative", negative), SKIPS, wrong=SKIP),
    declared("broken_invariants", "more reasoning than output", poison("breakdown", broken), SKIPS, wrong=SKIP),
    declared("large_values", "values of a megabyte", poison("avro", large), SKIPS, wrong=SKIP),
    declared("invalid_utf8", "text that is no UTF-8", poison("avro", not_utf8), SKIPS, wrong=SKIP),
    declared(
        "mixed_versions",
        "old and new writers in one batch",
        mixed_versions,
        "a meter from before the upgrade",
        wrong={},
        right={"upgraded": True},
    ),
    Fault(
        "all_poison",
        "nothing but poison",
        "the meter stops and says why; with the ratio raised nothing is lost",
        all_poison,
        SKIPS,
        all_poison_control,
    ),
]
