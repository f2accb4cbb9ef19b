"""What is told of a cause, as records of the one alerts topic, with a sentence for people."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.flow.watch.band import Band
from tokenmeter.flow.watch.causes import Cause, Change, What
from tokenmeter.flow.watch.settings import Kind, Measure
from tokenmeter.flow.watch.subjects import Subject

CRITICAL_AMOUNT = 100.0
"""An alert that will cost so much an hour from then is critical."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_NOUNS = {
    "first_token_ms": "ms to first token",
    "rate_limited": "calls rate-limited",
    "loss": "under cost",
    "price_mismatch": "off the cost that the upstream reports",
}

_KINDS = {"model_provider": "model", "group": "users of model"}


def alert_id(place: str, subject: Subject, cause: Cause, what: str) -> str:
    """Made of what it tells: the watched partition, the subject, the direction and the bucket that opened it."""
    told = (place, *subject.key, str(cause.falls), str(cause.opened), what)
    return hashlib.blake2b("\x00".join(told).encode(), digest_size=16).hexdigest()


def alert_of(
    topic: str,
    partition: int,
    bucket_s: int,
    bucket: int,
    subject: Subject,
    measure: Measure,
    change: Change,
    offsets: tuple[int, int] | None,
    band: tuple[int, Band] | None = None,
) -> Alert:
    """The record of a change in ``bucket``, whose lines are at ``offsets`` of the watched partition. ``band``: of the
    subject's hours, from an hour since 1970 on."""
    cause, found, place = change.cause, change.found, f"{topic}/{partition}"
    ends = change.what in (What.CLOSED, What.NEW_NORMAL)
    worse = [f"worse {number}" for number in range(1, cause.worse + 1)]
    mine = worse[-1] if change.what is What.WORSE else "resolved" if ends else "open"
    amount, pace = float(found["amount"]), float(found["pace"])
    priced = amount > 0 and subject.currency != ""
    since = _time(cause.since * bucket_s)
    severity = AlertSeverity.WARNING
    if ends:
        severity = AlertSeverity.INFO
    elif change.what is What.WORSE or (priced and pace >= CRITICAL_AMOUNT):
        severity = AlertSeverity.CRITICAL
    return Alert(
        alert_id=alert_id(place, subject, cause, mine),
        account_id=subject.account_id,
        subject_kind=subject.kind,
        subject_id=subject.subject_id,
        kind="resolved" if ends else Kind(int(found["kind"])).name.lower(),
        state=AlertState.RESOLVED if ends else AlertState.OPEN,
        severity=severity,
        expected=_decimal(float(found["expected"])),
        seen=_decimal(float(found["seen"])),
        score=round(float(found["score"]), 2),
        amount=_decimal(amount) if priced else None,
        currency=subject.currency if priced else None,
        topic=topic,
        partition=partition,
        first_offset=offsets[0] if offsets else None,
        last_offset=offsets[1] if offsets else None,
        broker_at=_time((bucket + 1) * bucket_s),
        since=since,
        resolves=tuple(alert_id(place, subject, cause, one) for one in ("open", *worse)) if ends else (),
        sentence=_sentence(subject, measure, change, bucket_s, since, priced),
        measure=measure.name,
        projected_amount=_decimal(pace) if priced and not ends else None,
        band_begins_at=_time(band[0] * 3600) if band else None,
        band_low=tuple(band[1].low.tolist()) if band else (),
        band_expected=tuple(band[1].expected.tolist()) if band else (),
        band_high=tuple(band[1].high.tolist()) if band else (),
    )


def _sentence(subject: Subject, measure: Measure, change: Change, bucket_s: int, since: datetime, priced: bool) -> str:
    name = f"{_KINDS.get(subject.kind, subject.kind)} {subject.subject_id}"
    if subject.kind == "key":
        name += f" of {subject.account_id}"
    found = change.found
    if change.what is What.CLOSED:
        return f"{name}: back to its habit after what began {since:%Y-%m-%d %H:%M}Z"
    if change.what is What.NEW_NORMAL:
        return f"{name}: what began {since:%Y-%m-%d %H:%M}Z goes on and counts as its habit from now"
    noun = _NOUNS.get(measure.name, measure.name)
    seen, expected = float(found["seen"]), float(found["expected"])
    in_time = "a minute" if bucket_s == 60 else f"{bucket_s} s"
    text = f"{name}: {_number(seen)} {noun} in {in_time}"
    if Kind(int(found["kind"])) is Kind.NEWCOMER:
        text += ", which is rare for a new one"
    elif Kind(int(found["kind"])) is not Kind.LOSS:
        text += f", its habit is {_number(expected)}"
    text += f", since {since:%H:%M}Z"
    if priced:
        money = f"{float(found['amount']):,.2f} {subject.currency}"
        pace = f"{float(found['pace']):,.2f} {subject.currency}"
        text += f"; {money} {'are missing' if change.cause.falls else 'too much'}, at this pace {pace} in an hour"
    if 0 < float(found["score"]) < 50:
        text += f" (by chance 1 in 10^{int(found['score'])})"
    return ("worse: " if change.what is What.WORSE else "") + text


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _decimal(value: float) -> Decimal:
    # From text: no decimal context rounds it, or refuses it for its digits.
    return Decimal(f"{value:.6f}")


def _time(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)
