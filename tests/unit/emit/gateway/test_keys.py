"""Keys: whose they are, what they may do, how long, and what is done when nobody can say."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Any

import pytest
from pydantic import SecretStr

from support.gateway_parts import ALL_RIGHTS, NOW, Client, Told, key_row, parts, row
from tokenmeter.cli.gateway import keys_of
from tokenmeter.emit.gateway.keys import Caller, KeyBook, digest_of, new_secret
from tokenmeter.emit.gateway.ring import KeyRing
from tokenmeter.events.catalog import Key, row_of
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.keys import added, is_valid, revoked, rights_of, rotated, secrets_of
from tokenmeter.stack.prices.catalog import Catalog

HOUR = timedelta(hours=1)
NO_LIMITS: dict[str, int | None] = {"events_per_s": None, "bytes_per_s": None}


def book(*rows: Key) -> KeyBook:
    made = KeyBook()
    for one in rows:
        made.add(row_of(one.to_value()))  # as it comes from the topic
    return made


def add(known: Catalog, name: str, **terms: Any) -> tuple[Catalog, str]:
    given: dict[str, Any] = {"customer": None, "rights": ("usage",), "valid_until": None, "note": None, "now": NOW}
    made = added(known, name, limits=NO_LIMITS, **{**given, **terms})
    return known.extended(made.rows), made.secret


def callers(known: Catalog, secret: str, at: Any = NOW) -> Caller | None:
    return book(*(one for _, one in known.rows if isinstance(one, Key))).find(digest_of(secret), at)


def test_only_the_hash_of_a_secret_leaves_the_process() -> None:
    known, secret = add(Catalog(), "k")
    assert all(secret.encode() not in one.to_value() for _, one in known.rows)
    assert len({new_secret() for _ in range(100)}) == 100 and len(secret) >= 47


def test_a_rotated_key_is_valid_until_the_overlap_is_over_and_the_new_one_goes_on() -> None:
    known, old = add(Catalog(), "k", customer="acme")
    made = rotated(known, "k", HOUR, NOW)
    known = known.extended(made.rows)
    for secret, at, valid in (
        (old, NOW, True),
        (old, NOW + HOUR, False),
        (made.secret, NOW, True),
        (made.secret, NOW + 100 * HOUR, True),
    ):
        found = callers(known, secret, at)
        assert (found is not None) is valid
        assert found is None or (found.key_id, found.customer_id) == ("k", "acme")
    again = known.extended(rotated(known, "k", 9 * HOUR, NOW).rows)
    assert callers(again, old, NOW + HOUR) is None, "a second rotation does not prolong what the first one ended"


def test_a_revocation_ends_every_secret_of_a_key_and_nothing_takes_it_back() -> None:
    known, first = add(Catalog(), "k")
    made = rotated(known, "k", HOUR, NOW)
    known = known.extended(made.rows)
    before = known.rows
    # The one who revokes has a clock that is an hour behind that of the one who added.
    known = known.extended(revoked(known, "k", NOW - HOUR))
    assert [callers(known, secret) for secret in (first, made.secret)] == [None, None]
    known = known.extended([one for _, one in before])
    assert [callers(known, secret) for secret in (first, made.secret)] == [None, None]
    assert revoked(known, "k", NOW) == []
    with pytest.raises(Misconfigured, match="revoked"):
        rotated(known, "k", HOUR, NOW)
    with pytest.raises(Misconfigured, match="there already"):
        add(known, "k")
    assert not any(is_valid(one, NOW) for one in secrets_of(known)["k"])


def test_what_cannot_be_meant_is_refused_by_name() -> None:
    with pytest.raises(Misconfigured, match="usages"):
        rights_of("usages", None)
    with pytest.raises(Misconfigured, match="admin"):
        rights_of("usage,admin", "acme")
    assert rights_of(" usage , read,usage", "acme") == ("usage", "read")
    with pytest.raises(Misconfigured, match="no key is called"):
        revoked(Catalog(), "k", NOW)
    with pytest.raises(Misconfigured, match="over already"):
        add(Catalog(), "k", valid_until=NOW)


@pytest.mark.parametrize("text", ["", ",", " ", "a,", ",a", "a,,b"])
def test_an_empty_key_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(Misconfigured, match="empty"):
        keys_of(SecretStr(text), "TOKENMETER_GATEWAY_KEYS")
    assert keys_of(None, "TOKENMETER_GATEWAY_KEYS") == ()
    assert keys_of(SecretStr("a, b"), "TOKENMETER_GATEWAY_KEYS") == ("a", "b")


def test_a_customer_s_key_is_no_admin_whatever_its_row_says() -> None:
    client = Client(parts(told=Told(key_row("s", customer_id="acme", rights=ALL_RIGHTS))))
    assert client("POST", "/v1/credit", "s", json={}).status_code == 403
    assert client.post(row(customer_id="acme"), "s").status_code == 202


def test_a_right_of_a_newer_version_allows_nothing_here() -> None:
    client = Client(parts(told=Told(key_row("s", rights=("fly",)))))
    assert client.post(row(), "s").status_code == 403


def test_when_nobody_can_say_which_keys_are_valid_those_of_the_catalog_come_again_and_health_says_so() -> None:
    told = Told(key_row("s"), key_row("gone", revoked=True))
    client = Client(parts(("own",), told=told))
    assert [client.post(row(n), key).status_code for n, key in enumerate(("s", "own", "gone", "none"))] == [
        202,
        202,
        401,
        401,
    ]
    told.age_s = 11.0
    answers = [client.post(row(n), key) for n, key in enumerate(("s", "own", "gone", "none"), 10)]
    assert [answer.status_code for answer in answers] == [503, 202, 503, 503]
    assert answers[0].headers["retry-after"] == "1"
    health = client("GET", "/health").json()
    assert (health["ok"], health["why"]) == (False, "which keys are valid cannot be read from Kafka at present")
    assert health["gateway_keys"] == {"keys": 3, "age_s": 11.0, "stale": True, "when_stale": "refuse"}
    ring = KeyRing({}, told, "allow")
    assert isinstance(ring.find("Bearer s"), Caller)
    assert ring.unwell == ""
    told.age_s = inf
    assert getattr(ring.find("Bearer s"), "status", None) == 503, "what was never read allows nothing"
    assert getattr(KeyRing({}, told).find(""), "status", None) == 503, "and makes no gateway an open one"
