"""Known token classes, written the way each provider reports them, are read back to the token, or refused by name.

Complete, streamed, cut after every chunk, with nulls and zeros where nothing was used, with numbers as 7.0, and with
one field that is no count at all.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.usage_writers import PARTS, WRITERS, Body, Truth, Writer, chat_stream, chat_usage, chunk
from tokenmeter.emit.usage import Usage, gather, normalise
from tokenmeter.events.errors import Poison

FEW = settings(max_examples=25, deadline=None)
named = {"ids": lambda writer: writer.name if isinstance(writer, Writer) else None}
STREAMED = [writer for writer in WRITERS if writer.stream]
RUNNING = [writer for writer in WRITERS if writer.running]
TOTALS = {
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "inputTokens",
    "outputTokens",
    "promptTokenCount",
    "totalTokenCount",
    "prompt_eval_count",
    "eval_count",
    "total_input_tokens",
    "total_output_tokens",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
}


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    tokens = st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 10**9))
    return {name: draw(tokens) for name in PARTS}


def told(writer: Writer, truth: Truth, *, used: bool = False) -> Truth:
    """The parts that ``writer`` can tell. ``used``: of a call that was made, for no prompt and no answer is empty."""
    known = {part: 0 if part in writer.untold else count for part, count in truth.items()}
    return {**known, "fresh": known["fresh"] + 1, "answer": known["answer"] + 1} if used else known


def classes(truth: Truth) -> dict[str, int]:
    return {
        "input_tokens": truth["fresh"] + truth["read"] + truth["short"] + truth["long"],
        "cached_input_tokens": truth["read"],
        "cache_write_tokens": truth["short"],
        "cache_write_1h_tokens": truth["long"],
        "output_tokens": truth["answer"] + truth["thought"],
        "reasoning_tokens": truth["thought"],
    }


def same(found: Usage, truth: Truth) -> bool:
    return all(getattr(found, name) == count for name, count in classes(truth).items())


def figures(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int]]:
    """(path, count) of each figure in a body."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        if type(inner) is int and name != "index":
            yield (*path, name), inner
        yield from figures(inner, (*path, name))


def put(body: Body, path: tuple[Any, ...], value: Any) -> Body:
    changed: Any = copy.deepcopy(body)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize("writer", WRITERS, **named)
@FEW
@given(truth=truths(), data=st.data())
def test_what_was_written_is_read(writer: Writer, truth: Truth, data: st.DataObject) -> None:
    known = told(writer, truth)
    body = writer.write(known)
    for path, count in figures(body):
        as_written = [count, float(count)]
        if count == 0 and path[-1] not in TOTALS:
            as_written.append(None)  # type: ignore[arg-type]
        body = put(body, path, data.draw(st.sampled_from(as_written)))
    found = normalise(writer.family, body)
    assert same(found, known) and found.notes == ()


@pytest.mark.parametrize("writer", WRITERS, **named)
@FEW
@given(truth=truths(), odd=st.sampled_from(["7", "", "many", -3, 0.5, True, float("nan"), [], {}]), data=st.data())
def test_a_field_that_is_no_count_is_refused_or_noted_by_its_name(
    writer: Writer, truth: Truth, odd: Any, data: st.DataObject
) -> None:
    known = told(writer, truth, used=True)
    body = writer.write(known)
    path, _ = data.draw(st.sampled_from([*figures(body)]))
    try:
        found = normalise(writer.family, put(body, path, odd))
    except Poison as error:
        assert str(path[-1]) in error.detail and error.hint
        return
    if not any(str(path[-1]) in note for note in found.notes):
        assert same(found, known)  # nobody needs that field


@pytest.mark.parametrize("writer", STREAMED, **named)
@FEW
@given(truth=truths())
def test_a_stream_whose_figures_come_last(writer: Writer, truth: Truth) -> None:
    assert writer.stream is not None
    known = told(writer, truth, used=True)
    chunks = writer.stream(known)
    assert same(gather(writer.family, chunks), known)
    for cut in range(len(chunks)):
        with pytest.raises(Poison, match="usage_"):
            gather(writer.family, chunks[:cut])


@pytest.mark.parametrize("writer", RUNNING, **named)
@FEW
@given(steps=st.lists(truths(), min_size=1, max_size=4))
def test_a_stream_that_tells_its_figures_so_far(writer: Writer, steps: list[Truth]) -> None:
    """Wherever it is cut, what was told last before the cut is what is read."""
    assert writer.running is not None
    so_far = told(writer, dict.fromkeys(PARTS, 0), used=True)
    running = []
    for step in steps:
        # The input is known at once, what is made grows.
        grown = {part: so_far[part] + step[part] for part in ("answer", "thought") if part not in writer.untold}
        prompt = told(writer, steps[0], used=True)
        so_far = {**so_far, **{part: prompt[part] for part in ("fresh", "read", "short", "long")}, **grown}
        running.append(so_far)
    chunks = writer.running(running)
    assert same(gather(writer.family, chunks), running[-1])
    for cut in range(1, len(chunks)):
        found = gather(writer.family, chunks[:cut])
        assert any(same(found, truth) for truth in running)
    with pytest.raises(Poison, match="usage_missing"):
        gather(writer.family, [])


ZEROS: tuple[Any, ...] = (
    {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}},
    {},
    None,
)


@FEW
@given(truth=truths(), before=st.lists(st.sampled_from(ZEROS)), after=st.lists(st.sampled_from(ZEROS)))
def test_zeros_before_and_after_hide_no_figure(truth: Truth, before: list[Any], after: list[Any]) -> None:
    known = {**truth, "long": 0, "fresh": truth["fresh"] + 1, "answer": truth["answer"] + 1}
    around = [*(chunk(zeros) for zeros in before), *chat_stream(chat_usage)(known), *(chunk(zeros) for zeros in after)]
    assert same(gather("compatible", around), known)
    with pytest.raises(Poison, match="usage_missing"):
        gather("compatible", [chunk(zeros) for zeros in before])


def test_the_round_trip_sees_a_reader_that_leaves_out_the_cache() -> None:
    """The control: figures that are one token off, or in another class, are not the same."""
    truth = dict(zip(PARTS, (5, 4, 3, 2, 7, 1), strict=True))
    right = Usage(**classes(truth))
    assert same(right, truth)
    for name in classes(truth):
        assert not same(Usage(**{**classes(truth), name: getattr(right, name) - 1}), truth)
