"""What passes through is cut into events wherever its bytes were cut, and URLs tell who serves."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenmeter.emit.integrations.endpoints import host_of, operation_at, provider_at
from tokenmeter.emit.integrations.server_events import EventSplitter, payload

STREAM = b'data: {"a": 1}\n\n: ping\r\n\r\nevent: x\ndata: {"b":\ndata: 2}\n\ndata: [DONE]\n\ndata: {"c": 3}'


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_come_out_whole_wherever_they_were_cut(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(STREAM)]
    splitter = EventSplitter()
    events = []
    for begin, end in pairwise(cuts):
        events += list(splitter.feed(STREAM[begin:end]))
    events.append(splitter.rest())
    assert b"".join(events) == STREAM
    assert [payload(event) for event in events] == [{"a": 1}, None, {"b": 2}, None, {"c": 3}]


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1/", "openai"),
        ("https://eu.api.openai.com/v1/", "openai"),
        ("https://me.openai.azure.com/openai/", "azure"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.anthropic.com", "anthropic"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.moonshot.cn/v1", "moonshot"),
        ("https://open.bigmodel.cn/api/paas/v4/", "zhipu"),
        ("https://api.z.ai/api/paas/v4/", "zhipu"),
        ("https://api.minimax.io/v1", "minimax"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "vertex"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gemini"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://localhost:8000/v1", None),
        ("https://notopenai.com/v1", None),
        ("https://api.openai.com.evil.example/v1", None),
    ],
)
def test_a_url_tells_who_serves(url: str, provider: str | None) -> None:
    assert provider_at(url) == provider
    assert host_of(url)


def test_a_path_tells_what_is_asked() -> None:
    paths = ["/v1/chat/completions", "/completions", "/v1/responses/", "/v1/messages?beta=true", "/embeddings"]
    assert [operation_at(path) for path in paths] == ["CHAT", "COMPLETION", "RESPONSE", "CHAT", "EMBEDDING"]
    unmetered = ["/v1/models", "/v1/messages/count_tokens", "/v1/messages/batches", "/v1/files", "/v1/moderations"]
    assert [operation_at(path) for path in unmetered] == [None] * 5
