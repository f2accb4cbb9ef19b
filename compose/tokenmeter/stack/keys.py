"""Rows of the catalog that add, rotate and revoke keys of the gateway. Pure: the catalog and the time come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tokenmeter.emit.gateway.keys import CUSTOMER_RIGHTS, digest_of, new_secret
from tokenmeter.events.catalog import Key, Right
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices.catalog import Catalog

LIST = "tokenmeter keys list"


@dataclass(frozen=True)
class Made:
    """Rows to write, and the secret to show once."""

    rows: list[Key]
    secret: str


def secrets_of(known: Catalog) -> Mapping[str, list[Key]]:
    """The last row about each secret, by key."""
    last: dict[str, Key] = {}
    for _, row in known.rows:
        if isinstance(row, Key) and not (row.secret_sha256 in last and last[row.secret_sha256].revoked):
            last[row.secret_sha256] = row
    found: dict[str, list[Key]] = {}
    for row in last.values():
        found.setdefault(row.key_id, []).append(row)
    return found


def is_valid(row: Key, now: datetime) -> bool:
    """Whether a secret opens the gateway."""
    return not row.revoked and (row.valid_until is None or now < row.valid_until)


def rights_of(text: str, customer: str | None) -> tuple[str, ...]:
    """``usage,read`` as rights. Misconfigured for a word that is none, or one that no customer may have."""
    words = list(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
    unknown = [word for word in words if word not in set(Right)]
    if unknown or not words:
        raise Misconfigured(f"no right is called {', '.join(unknown) or 'nothing'}", hint=f"of {', '.join(Right)}")
    beyond = [word for word in words if customer is not None and word not in CUSTOMER_RIGHTS]
    if beyond:
        raise Misconfigured(
            f"a customer's key may not have {', '.join(beyond)}: it would give itself credit",
            hint="leave --customer out for a key of the gateway's own",
        )
    return tuple(words)


def added(
    known: Catalog,
    key_id: str,
    customer: str | None,
    rights: tuple[str, ...],
    limits: Mapping[str, int | None],
    valid_until: datetime | None,
    note: str | None,
    now: datetime,
) -> Made:
    """A key that is not there yet. Misconfigured where its name is taken, also by a revoked one."""
    if key_id in secrets_of(known):
        raise Misconfigured(f"key {key_id} is there already", hint=f"another name, or tokenmeter keys rotate {key_id}")
    if valid_until is not None and valid_until <= now:
        raise Misconfigured(f"--until {valid_until:%Y-%m-%d %H:%M} is over already", hint="name a later time")
    secret = new_secret()
    row = Key(
        effective_from=now,
        key_id=key_id,
        secret_sha256=digest_of(secret),
        customer_id=customer,
        rights=rights,
        valid_until=valid_until,
        note=note,
        **limits,
    )
    return Made([row], secret)


def rotated(known: Catalog, key_id: str, overlap: timedelta, now: datetime) -> Made:
    """A new secret with the same terms; those before it end when the overlap is over, or when they would have."""
    valid = [row for row in _known(known, key_id) if is_valid(row, now)]
    if not valid:
        raise Misconfigured(f"key {key_id} is revoked or over", hint="tokenmeter keys add ANOTHER")
    secret, ends = new_secret(), now + overlap
    newest = max(valid, key=lambda row: row.effective_from)
    old = [
        _changed(row, now, valid_until=ends if row.valid_until is None else min(ends, row.valid_until)) for row in valid
    ]
    new = newest.model_dump() | {"row_id": "", "effective_from": now, "secret_sha256": digest_of(secret)}
    return Made([*old, Key.model_validate(new)], secret)


def revoked(known: Catalog, key_id: str, now: datetime) -> list[Key]:
    """Every secret of the key is refused for ever."""
    return [_changed(row, now, revoked=True) for row in _known(known, key_id) if not row.revoked]


def _known(known: Catalog, key_id: str) -> Iterable[Key]:
    found = secrets_of(known).get(key_id)
    if found is None:
        raise Misconfigured(f"no key is called {key_id}", hint=LIST)
    return found


def _changed(row: Key, now: datetime, **terms: object) -> Key:
    """The row with other terms. Never dated before the one that it takes the place of: clocks differ."""
    at = max(now, row.effective_from)
    return Key.model_validate(row.model_dump() | {"row_id": "", "effective_from": at} | terms)
