"""From the real clients over a local server and a real Emitter with a spool to Kafka: exact tokens, each call once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from support.broker import broker, read_all
from support.provider_answers import CHAT_TOKENS, MESSAGE_TOKENS
from support.provider_server import provider_server
from tokenmeter.emit import Emitter
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.anthropic import metered as metered_anthropic
from tokenmeter.emit.integrations.openai import metered as metered_openai
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS

CALLS = 20
MESSAGES: list[Any] = [{"role": "user", "content": "SECRET"}]


def test_what_the_clients_used_is_on_the_topic(tmp_path: Path) -> None:
    with broker(tmp_path / "kafka") as kafka, provider_server() as server:
        with (
            Emitter(kafka.bootstrap, spool=tmp_path / "spool") as emitter,
            Meter(emitter, customer_id="acme") as meter,
            OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as plain,
            Anthropic(api_key="k", base_url=server.url, max_retries=0) as other,
        ):
            chat = metered_openai(plain, meter, provider="openai").chat.completions
            claude = metered_anthropic(other, meter, provider="anthropic").messages
            for _ in range(CALLS):
                chat.create(model="gpt-4o", messages=MESSAGES)
                list(chat.create(model="gpt-4o", messages=MESSAGES, stream=True))
                claude.create(model="claude-sonnet-5", max_tokens=9, messages=MESSAGES)
            with chat.create(model="endless", messages=MESSAGES, stream=True) as cut:
                next(cut)
            with pytest.raises(openai.RateLimitError):
                chat.create(model="fails-429", messages=MESSAGES)
            meter.close()
            emitter.flush(30)
            assert meter.stats.lost == {} and meter.stats.metered == 3 * CALLS + 2
        records = [decode(record.value).record for record in read_all(kafka.bootstrap, EVENTS)]
    totals: Counter[str] = Counter()
    for record in records:
        totals.update({name: value for name, value in record.items() if name.endswith("_tokens")})
    expected = Counter({name: 2 * CALLS * count for name, count in CHAT_TOKENS.items()})
    expected.update({name: CALLS * count for name, count in MESSAGE_TOKENS.items()})
    assert +totals == expected
    assert len({record["event_id"] for record in records}) == len(records) == 3 * CALLS + 2
    assert sum(record["cancelled"] for record in records) == 1
    assert [record["status"] for record in records].count(429) == 1
    assert {record["customer_id"] for record in records} == {"acme"}
    assert not any("SECRET" in str(record) for record in records)
