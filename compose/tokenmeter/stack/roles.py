"""Who may do what on the local Kafka: a role is a user, and has the rights that its work needs.

    role      writes                              reads
    admin     everything                          everything (the command; it also makes topics and moves positions)
    workers   all but usage.events and .growth    every topic
    gateway   usage.events, ledger.entries        what credit, keys and usage are told from
    producer  usage.events                        nothing
    reader    nothing                             every topic, in a group that is none of the workers'

The gateway writes ledger.entries for POST /v1/credit, which its admin keys alone may ask for. Others than the workers
may see how far the workers' groups are, and not move them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, CATALOG, EVENTS, GROWTH, LEDGER, PAGES, TOPICS
from tokenmeter.events.errors import Fatal

ADMIN_TIMEOUT_S = 30.0
SCRAM_ITERATIONS = 4096
"""Kafka's least: the passwords are random, and each connection costs so many hashes."""
OURS = "tokenmeter-"
"""How the workers' groups and transactional ids begin."""
ALL = tuple(topic.name for topic in TOPICS)


@dataclass(frozen=True)
class Role:
    """``groups``: it reads in any group but the workers'; ``worker``: in those, and with their transactional ids."""

    writes: Sequence[str] = ()
    reads: Sequence[str] = ()
    groups: bool = False
    worker: bool = False


ROLES: Mapping[str, Role] = {
    "workers": Role(tuple(name for name in ALL if name not in (EVENTS, GROWTH)), ALL, worker=True),
    "gateway": Role((EVENTS, LEDGER), (CATALOG, ACCOUNT_STATE, LEDGER, ALERTS, PAGES)),
    "producer": Role((EVENTS,)),
    "reader": Role((), ALL, groups=True),
}


def acls() -> Iterator[AclBinding]:
    """Every rule there is."""
    for name, role in ROLES.items():
        for topic in role.writes:
            yield _rule(name, ResourceType.TOPIC, topic, AclOperation.WRITE)
        for topic in role.reads:
            yield _rule(name, ResourceType.TOPIC, topic, AclOperation.READ)
        if role.worker:
            yield _rule(name, ResourceType.GROUP, OURS, AclOperation.READ, prefixed=True)
            yield _rule(name, ResourceType.TRANSACTIONAL_ID, OURS, AclOperation.WRITE, prefixed=True)
        elif role.groups:
            yield _rule(name, ResourceType.GROUP, "*", AclOperation.READ)
            yield _rule(name, ResourceType.GROUP, OURS, AclOperation.READ, prefixed=True, deny=True)
        elif role.reads:
            yield _rule(name, ResourceType.GROUP, "*", AclOperation.DESCRIBE)


def _rule(
    role: str, kind: ResourceType, name: str, operation: AclOperation, *, prefixed: bool = False, deny: bool = False
) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    permission = AclPermissionType.DENY if deny else AclPermissionType.ALLOW
    return AclBinding(kind, name, pattern, f"User:{role}", "*", operation, permission)


def provision(client: Mapping[str, Any], passwords: Mapping[str, str]) -> None:
    """Make the users and their rights as they are here; passwords of an earlier start are replaced. Raises Fatal."""
    admin = AdminClient({**client, "log_level": 2})
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    users: list[UserScramCredentialAlteration] = []
    users += (UserScramCredentialUpsertion(user, kind, word.encode()) for user, word in passwords.items())
    _done(admin.alter_user_scram_credentials(users).values(), "users")
    give_rights(client)


def give_rights(client: Mapping[str, Any]) -> int:
    """Make every rule that is not there yet; how many there are. Raises Fatal."""
    rules, admin = list(acls()), AdminClient({**client, "log_level": 2})
    _done(admin.create_acls(rules, request_timeout=ADMIN_TIMEOUT_S).values(), "users' rights")
    return len(rules)


def _done(asked: Iterable[Any], what: str) -> None:
    try:
        for one in asked:
            one.result(ADMIN_TIMEOUT_S)
    except KafkaException as error:
        raise Fatal(
            f"cannot make Kafka's {what}: {error.args[0].str()}",
            hint="as a user who may, of brokers with an authorizer; tokenmeter doctor",
        ) from error
