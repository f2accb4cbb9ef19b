"""Who calls and what the caller may do: keys by the hash of their secret. Pure: rows and the time come in.

A row holds from the moment it is read, whatever clocks say; of several about one secret the last one, except that
nothing takes a revocation back.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tokenmeter.events.catalog import Key, Right
from tokenmeter.events.catalog_row import CatalogRow

SECRET_PREFIX = "tmk_"
"""So that those who search code and logs for secrets find it."""
SECRET_BYTES = 32
CUSTOMER_RIGHTS = frozenset({Right.USAGE, Right.CORRECTION, Right.READ})
"""What a customer's key may do at most: with ADMIN it would give itself credit."""


@dataclass(frozen=True)
class Caller:
    """``customer_id``: whose key it is; None: a gateway's own, which may name any customer. Limits of None: none."""

    key_id: str
    customer_id: str | None
    rights: frozenset[str]
    events_per_s: int | None = None
    bytes_per_s: int | None = None

    def may(self, right: Right) -> bool:
        return right.value in self.rights

    def may_name(self, customer: str) -> bool:
        """Whether the caller may speak of this customer."""
        return self.customer_id is None or self.customer_id == customer


def new_secret() -> str:
    """A secret that nobody has had before."""
    return SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> str:
    """What is kept of a secret; events.catalog.Key says why SHA-256."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def own_keys(secrets: Iterable[str], name: str, rights: frozenset[Right]) -> dict[str, Caller]:
    """Callers by digest of keys that the gateway was started with."""
    named = frozenset(right.value for right in rights)
    return {digest_of(one): Caller(f"{name}-{n}", None, named) for n, one in enumerate(secrets, 1)}


class KeyBook:
    """The keys that the catalog has told of. One thread adds, any number ask."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[Key, Caller]] = {}

    def __len__(self) -> int:
        """Secrets ever known, revoked ones too."""
        return len(self._keys)

    def add(self, row: CatalogRow) -> None:
        """Take one row; those of other kinds are passed over."""
        if not isinstance(row, Key):
            return
        known = self._keys.get(row.secret_sha256)
        if known is not None and known[0].revoked:
            return
        self._keys[row.secret_sha256] = row, _caller(row)

    def find(self, digest: str, now: datetime) -> Caller | None:
        """Whose secret it is, unless it is revoked or its time is over.

        Finding it by its hash tells no more, however long it takes: a hash near to it is not a secret near to it.
        """
        found = self._keys.get(digest)
        if found is None or found[0].revoked:
            return None
        until = found[0].valid_until
        return found[1] if until is None or now < until else None


def _caller(row: Key) -> Caller:
    rights = frozenset(row.rights)
    if row.customer_id is not None:
        rights &= CUSTOMER_RIGHTS
    return Caller(row.key_id, row.customer_id, rights, row.events_per_s, row.bytes_per_s)
