"""The limit: a plain confluent-kafka and polars loop that decodes and sums, ``python -m bench.plain_loop BOOTSTRAP N``.

No dedup, no checks, no quarantine, no output, no transaction, no position: what the libraries alone cost.
"""

from __future__ import annotations

import io
import json
import sys

import polars as pl
from confluent_kafka import Consumer, TopicPartition

from tokenmeter.events.contract import EVENTS, QUANTITY_FIELDS, latest
from tokenmeter.events.lines import BILLING_USAGE_KEYS

BATCH_EVENTS = 100_000
_SYNC = bytes(16)


def _varint(number: int) -> bytes:
    out, rest = bytearray(), number << 1
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def _header() -> bytes:
    document = {key: value for key, value in latest("usage_event").document.items() if key != "doc"}
    fields = [{"name": field["name"], "type": field["type"]} for field in document["fields"]]
    schema = json.dumps({**document, "fields": fields}).encode()
    meta = b"".join(_varint(len(part)) + part for part in (b"avro.schema", schema, b"avro.codec", b"null"))
    return b"Obj\x01" + _varint(2) + meta + b"\x00" + _SYNC


def main() -> None:
    bootstrap, wanted = sys.argv[1], int(sys.argv[2])
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "plain-loop",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.min.bytes": 1 << 20,
            "queued.max.messages.kbytes": 256 << 10,
            "queued.min.messages": 1_000_000,
        }
    )
    partitions = consumer.list_topics(EVENTS, 10).topics[EVENTS].partitions
    consumer.assign([TopicPartition(EVENTS, partition, 0) for partition in partitions])
    header, totals, read = _header(), [], 0
    print("ready", flush=True)
    while read < wanted:
        values = [message.value()[5:] for message in consumer.consume(BATCH_EVENTS, 1.0)]
        if not values:
            continue
        body = b"".join(values)
        block = header + _varint(len(values)) + _varint(len(body)) + body + _SYNC
        frame = pl.read_avro(io.BytesIO(block))
        hour = pl.col("occurred_at").dt.truncate("1h").alias("occurred_hour")
        totals.append(frame.with_columns(hour).group_by(BILLING_USAGE_KEYS).agg(pl.col(QUANTITY_FIELDS).sum()))
        read += len(values)
    total = pl.concat(totals).group_by(BILLING_USAGE_KEYS).agg(pl.col(QUANTITY_FIELDS).sum())
    print(json.dumps({"events": read, "input_tokens": int(total["input_tokens"].sum())}), flush=True)


if __name__ == "__main__":
    main()
