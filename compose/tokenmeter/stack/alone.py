"""Refuses a second stack on one Kafka: the workers of both would be one group, and each store would get a part."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.groups import GROUPS

ADMIN_TIMEOUT_S = 30.0
SESSION_EXPIRY_S = 15.0
"""A worker that was killed counts as a member until its session has expired."""
POLL_S = 0.5


def require_alone(client: Mapping[str, Any], wait_s: float = SESSION_EXPIRY_S) -> None:
    """Raises Misconfigured naming who reads this Kafka already, and is still a member after ``wait_s``."""
    if there := who_stays(client, wait_s):
        raise Misconfigured(
            f"another stack's workers read this Kafka ({', '.join(there)}): each store would get a part",
            hint="stop that stack (tokenmeter down --data ITS_DIR), or give this one a Kafka of its own",
        )


def who_stays(client: Mapping[str, Any], wait_s: float) -> list[str]:
    """The workers that read this Kafka, and are still members after ``wait_s``."""
    deadline = time.monotonic() + wait_s
    while there := members(client):
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_S)
    return there


def members(client: Mapping[str, Any]) -> list[str]:
    """Each live member of a group of ours, as ``meter-1 on HOST``."""
    groups = [group.id for group in GROUPS.values()]
    found = []
    admin = AdminClient({**client, "log_level": 2})  # kept: its answers come while it lives
    for group, future in admin.describe_consumer_groups(groups).items():
        try:
            joined = future.result(ADMIN_TIMEOUT_S).members
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                continue
            raise Fatal(f"cannot describe {group}: {error.args[0].str()}", hint="tokenmeter status") from error
        found += [f"{one.group_instance_id or group} on {one.host.lstrip('/')}" for one in joined]
    return sorted(found)
