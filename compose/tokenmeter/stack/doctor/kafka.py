"""What is looked at of Kafka: the brokers, the topics of the contract, transactions, and who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from tokenmeter.events.contract import EVENTS, TOPICS
from tokenmeter.events.errors import TokenmeterError
from tokenmeter.stack.doctor.finding import Finding, failed
from tokenmeter.stack.topics import ensure_topics

ANSWER_S = 8.0
TRANSACTIONAL_ID = "tokenmeter-doctor"
_EVERY_RULE = AclBindingFilter(
    ResourceType.ANY,
    None,  # any name
    ResourcePatternType.ANY,
    None,  # any principal
    None,  # any host
    AclOperation.ANY,
    AclPermissionType.ANY,
)


def is_there(client: Mapping[str, Any]) -> bool:
    """Whether a broker answers."""
    try:
        AdminClient({**client, "log_level": 0}).list_topics(timeout=ANSWER_S)
    except KafkaException:
        return False
    return True


def kafka(client: Mapping[str, Any], partitions: int, replication: int | None) -> list[Finding]:
    """In the order in which one needs the other; without brokers the rest is not asked."""
    admin = AdminClient({**client, "log_level": 0})
    try:
        found = admin.list_topics(timeout=ANSWER_S)
    except KafkaException as error:
        said = f"{client['bootstrap.servers']} does not answer: {error.args[0].str()}"
        return [Finding("kafka", False, said, "tokenmeter up, or correct TOKENMETER_KAFKA_BOOTSTRAP")]
    brokers = Finding("kafka", True, f"{len(found.brokers)} broker(s) at {client['bootstrap.servers']}")
    return [
        brokers,
        *_topics(client, found.topics, partitions, replication),
        _transactions(client),
        _acls(admin, min(found.brokers)),
    ]


def _topics(
    client: Mapping[str, Any], there: Mapping[str, Any], partitions: int, replication: int | None
) -> list[Finding]:
    if missing := [topic.name for topic in TOPICS if topic.name not in there]:
        return [Finding("kafka topics", False, f"missing: {', '.join(missing)}", "tokenmeter topics")]
    try:
        ensure_topics(client, partitions, replication)  # none is missing, so it only verifies
    except (TokenmeterError, KafkaException) as error:
        return [failed("kafka topics", error, "tokenmeter topics")]
    count = len(there[EVENTS].partitions)
    said = f"{len(TOPICS)} topics as they must be, {EVENTS} with {count} partition(s)"
    dead = sorted({name for name, topic in there.items() for part in topic.partitions.values() if part.leader < 0})
    if dead:
        return [
            Finding("kafka topics", False, f"without a leader: {', '.join(dead)}", "start the brokers that are down")
        ]
    return [Finding("kafka topics", True, said)]


def _transactions(client: Mapping[str, Any]) -> Finding:
    """Every page is one: without them no worker can commit."""
    try:
        producer = Producer({**client, "transactional.id": TRANSACTIONAL_ID, "log_level": 0})
        producer.init_transactions(ANSWER_S)
        producer.begin_transaction()
        producer.abort_transaction(ANSWER_S)
    except KafkaException as error:
        mend = "three brokers, or transaction.state.log.replication.factor=1; with ACLs, WRITE on transactional ids"
        return Finding("kafka transactions", False, error.args[0].str(), mend)
    return Finding("kafka transactions", True, "begin and abort")


def _acls(admin: AdminClient, broker_id: int) -> Finding:
    """Whether the brokers ask who somebody is. A user without the right to ask is one who is asked."""
    broker = ConfigResource(ResourceType.BROKER, str(broker_id))
    try:
        settings = admin.describe_configs([broker], request_timeout=ANSWER_S)[broker].result(ANSWER_S)
    except KafkaException as error:
        return Finding("kafka acls", None, f"this user may not see them: {error.args[0].str()}")
    authorizer = settings["authorizer.class.name"].value if "authorizer.class.name" in settings else ""
    if not authorizer:
        return Finding("kafka acls", None, "off: whoever reaches the brokers may read and write everything")
    try:
        rules = len(admin.describe_acls(_EVERY_RULE, request_timeout=ANSWER_S).result(ANSWER_S))
    except KafkaException as error:
        return Finding("kafka acls", None, f"on; this user may not list them: {error.args[0].str()}")
    return Finding("kafka acls", True, f"on, {rules} rules")
