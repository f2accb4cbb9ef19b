"""What stands on a topic of ours and is no record of ours: named, and else passed over as every reader does.

Nothing is made of it. Had it damaged a record of ours, that one is missing where its page or account is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.store.statement import sql


@dataclass(frozen=True)
class Foreign:
    """``reason`` is why the value is no ``record``."""

    topic: str
    partition: int
    offset: int
    record: str
    reason: str

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}: the record at offset {self.offset} is no {self.record}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def put_aside(client: Client, topic: str, record: str) -> list[Foreign]:
    """What the loader found on a topic that the audit does not read."""
    statement = sql("foreign_records", "tokenmeter.audit")
    found = client.query(statement, parameters={"topic": topic}).result_rows
    return [Foreign(topic, partition, offset, record, reason) for partition, offset, reason in found]
