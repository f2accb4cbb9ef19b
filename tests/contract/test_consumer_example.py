"""The README's consumer is run as it stands, on real Kafka, and reads only what was committed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

from support.broker import broker
from tokenmeter.events import encode
from tokenmeter.events.contract import BILLING, QUANTITY_FIELDS

EXAMPLE = Path(__file__).parent / "examples" / "consume_billing.py"
README = Path(__file__).parents[2] / "README.md"


def line(customer: str, number: int, tokens: int) -> bytes:
    fields = dict.fromkeys(QUANTITY_FIELDS, 0) | {"input_tokens": tokens, "output_tokens": 1}
    record = {
        "partition": 0,
        "first_offset": 0,
        "line": number,
        "customer_id": customer,
        "model": "a/one",
        "provider": "p",
        "variant": "standard",
        "occurred_hour": datetime(2026, 11, 1, tzinfo=UTC),
        "events": 1,
        "errors": 0,
    }
    return encode("billing_line", {**record, **fields})


def test_the_readme_shows_the_example_that_is_tested() -> None:
    code = EXAMPLE.read_text("utf-8").rstrip()
    shown = README.read_text("utf-8").replace("\n    ", "\n")
    assert code in shown


def test_the_example_sums_committed_lines_only(tmp_path: Path) -> None:
    with broker(tmp_path) as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "test"})
        producer.init_transactions(30)
        for customers, commit in ((("ada", "bob", "ada"), True), (("ada", "eve"), False)):
            producer.begin_transaction()
            for number, customer in enumerate(customers):
                producer.produce(BILLING, line(customer, number, 10 * (number + 1)), customer.encode())
            producer.flush(30)
            if commit:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), kafka.bootstrap], capture_output=True, text=True, timeout=90, env=os.environ
        )
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == {"ada": 11 + 31, "bob": 21}
