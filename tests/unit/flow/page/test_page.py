"""Which batch a page takes, when it closes, and in which order it is owned and committed."""

from __future__ import annotations

import pytest

from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import CLOSE_SHARE_MAX, Admission, OpenPage, PageBounds, PageLimits, admit


@pytest.mark.parametrize(
    ("batch", "answer"),
    [((0, 10), Admission.SKIP), ((5, 11), Admission.TRIM), ((10, 20), Admission.TAKE), ((11, 20), Admission.GAP)],
)
def test_only_the_next_contiguous_offset_is_admitted(batch: tuple[int, int], answer: Admission) -> None:
    assert admit(10, *batch) is answer


def test_a_page_closes_by_age_size_or_demand() -> None:
    limits = PageLimits(seconds=5, events=10, bytes=100, demand_interval_s=0.2)
    assert not OpenPage(0, events=9, bytes=99).is_due(4.9, 0, 0, limits)
    assert OpenPage(0).is_due(5, 0, 0, limits)
    assert OpenPage(0, events=10).is_due(0, 0, 0, limits)
    assert OpenPage(0, bytes=100).is_due(0, 0, 0, limits)
    assert OpenPage(0, demanded=True).is_due(1, 0.5, 0, limits)
    assert not OpenPage(0, demanded=True).is_due(0.6, 0.5, 0, limits)


def test_a_page_closes_young_when_its_partition_is_nearly_caught_up() -> None:
    limits = PageLimits(seconds=5, min_seconds=0.2, behind_max=100)
    assert OpenPage(0).is_due(0.2, 0, 100, limits)
    assert not OpenPage(0).is_due(0.19, 0, 0, limits)
    assert not OpenPage(0).is_due(4.9, 0, 101, limits)
    assert OpenPage(0).is_due(5, 0, 101, limits)
    assert OpenPage(0, events=101).is_due(0.2, 0, 101, limits), "as large as the backlog"
    close_s = 1.0 * CLOSE_SHARE_MAX
    assert not OpenPage(0).is_due(0.9, 0, 0, limits, close_cpu_seconds=close_s), "closing would take too much of a CPU"
    assert OpenPage(0).is_due(1.01, 0, 0, limits, close_cpu_seconds=close_s)
    assert OpenPage(0).is_due(1, 0, 0, PageLimits(seconds=1, min_seconds=3))


def test_the_fence_comes_before_the_position_and_the_commit_last() -> None:
    order = []
    owning = steps.own()
    effect: steps.Effect = next(owning)
    try:
        while True:
            order.append(type(effect).__name__)
            effect = owning.send(steps.Position(7, 2))
    except StopIteration as stop:
        assert stop.value == steps.Position(7, 2)
    assert order == ["Fence", "ReadPosition", "Restore"]
    committing = steps.commit(PageBounds("t", 0, 0, 5))
    order = [type(next(committing)).__name__]
    order += [type(committing.send([])).__name__ for _ in range(5)]
    assert order == ["Close", "Begin", "Produce", "SendOffsets", "Commit", "Committed"]
