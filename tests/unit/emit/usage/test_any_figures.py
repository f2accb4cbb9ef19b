"""Whatever integers a response holds: usage that the accept rule passes, or an error of ours. Nothing else, ever."""

from __future__ import annotations

import contextlib
import copy
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.provider_payloads import PAYLOADS, STREAMS, Payload, Stream
from tokenmeter.emit.usage import Usage, gather, normalise
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import Poison

named = {"ids": lambda case: case.name}
small = st.integers(0, 50)
figures = st.one_of(small, small, small, st.integers(-(2**63), 2**63), st.integers(-3, 3), st.none())


def refigured(value: Any, data: st.DataObject) -> Any:
    """The same shape with other integers in it (and sometimes none)."""
    if isinstance(value, dict):
        return {name: refigured(inner, data) for name, inner in value.items()}
    if isinstance(value, list):
        return [refigured(inner, data) for inner in value]
    return data.draw(figures) if type(value) is int else value


def hold(usage: Usage) -> None:
    """The usage makes an event: the model checks the rule that the meter will apply."""
    event = UsageEvent(
        event_id="e",
        occurred_at=datetime.now(UTC),
        customer_id="c",
        model="m",
        provider="p",
        reported_cost=usage.reported_cost,
        **usage.quantities(),
    )
    assert event.cached_input_tokens + event.cache_write_tokens + event.cache_write_1h_tokens <= event.input_tokens
    assert event.reasoning_tokens <= event.output_tokens
    assert min(usage.quantities().values()) >= 0
    for inner in usage.also:
        hold(inner)


@pytest.mark.parametrize("case", PAYLOADS, **named)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_response_with_any_figures(case: Payload, data: st.DataObject) -> None:
    response = refigured(case.response, data)
    before = copy.deepcopy(response)
    try:
        usage = normalise(case.provider, response)
    except Poison as error:
        assert error.hint
    else:
        hold(usage)
    assert response == before, "a normaliser is pure"


@pytest.mark.parametrize("case", STREAMS, **named)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_stream_with_any_figures_cut_anywhere(case: Stream, data: st.DataObject) -> None:
    chunks = refigured(case.chunks, data)[: data.draw(st.integers(0, len(case.chunks)))]
    try:
        usage = gather(case.provider, chunks)
    except Poison as error:
        assert error.hint
    else:
        hold(usage)


FIELDS = re.findall(
    r"\w+",
    """
    usage usageMetadata usage_metadata metadata meta response message delta data choices object type done output
    embeddings predictions statistics token_count prompt_tokens completion_tokens input_tokens output_tokens
    total_tokens prompt_tokens_details completion_tokens_details cached_tokens iterations billed_units tokens
    images search_units cacheDetails inputTokens outputTokens content parts candidates promptTokenCount
    candidatesTokenCount totalTokenCount promptTokensDetails modality tokenCount cost is_byok cost_details plugins
    search count connectors connector_tokens svg_usage trace promptRouter serviceTier base_resp status_code index
    tool_calls function_call finish_reason x_groq tool_usage web_search num_requests image_gen tools action interaction
    total_input_tokens total_output_tokens outputs serverContent summed responseTokenCount usage_info pages_processed
    seconds duration text inputTextTokenCount results generation_token_count prompt_token_count citation_tokens
    cost_in_usd_ticks server_side_tool_usage_details cache_creation fallback to status error code folded embedding
    tokenmeter_shape tokenmeter_notes ResponseMetadata HTTPHeaders b64_json url prompt_eval_count input_tokens_details
    """,
)

anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("provider", sorted({case.provider for case in PAYLOADS}))
@settings(max_examples=40, deadline=None)
@given(response=anything, chunks=st.lists(anything, max_size=3))
def test_nonsense_is_an_error_of_ours(provider: str, response: Any, chunks: list[Any]) -> None:
    for attempt in (lambda: normalise(provider, response), lambda: gather(provider, chunks)):
        with contextlib.suppress(Poison):
            hold(attempt())
