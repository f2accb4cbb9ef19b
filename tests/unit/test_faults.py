"""What the fault suite makes of a fault whose harness fails, and of a control that was not looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.fault import Fault
from faults.judging import judged
from support.outcome import Outcome

WELL = Outcome(injected=1, sent=5)


def fault(answers: list[object], control: list[object]) -> Fault:
    """Each run takes the next answer; an exception is raised."""

    def taking(given: Iterator[object]) -> Callable[[], object]:
        def take() -> object:
            answer = next(given)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return take

    run, caught = taking(iter(answers)), taking(iter(control))

    def asked(folder: Path, times: int, seed: int) -> Outcome:
        answer = run()
        assert isinstance(answer, Outcome)
        return answer

    return Fault("f", "breaks", "invariant", asked, "mutant", lambda folder, seed: str(caught()))


def test_a_harness_that_gives_up_once_is_tried_again() -> None:
    outcome, caught = judged(fault([TimeoutError("list_offsets"), WELL], [OSError("gone"), "lost 3"]), 1, 1)
    assert (outcome, caught) == (WELL, "lost 3")


def test_one_that_gives_up_again_is_a_finding_of_its_own() -> None:
    gone = TimeoutError("list_offsets")
    outcome, caught = judged(fault([gone, gone], [gone, gone]), 1, 1)
    assert not outcome.holds
    assert caught == ""
    assert outcome.wrong == (
        "f: the harness gave up, 2 times: TimeoutError: list_offsets",
        "control of f: the harness gave up, 2 times: TimeoutError: list_offsets",
    )


def test_a_failed_expectation_is_not_tried_again_and_proves_no_control() -> None:
    outcome, caught = judged(fault([AssertionError("late")], [AssertionError("not within 90 s")]), 1, 1)
    assert outcome.wrong == ("f: late", "control of f: not within 90 s")
    assert caught == ""


def test_what_was_logged_is_kept_when_something_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def run(folder: Path, times: int, seed: int) -> Outcome:
        (folder / "ledger-1.log").write_text("fenced")
        raise AssertionError("late")

    outcome, _ = judged(Fault("f: of it", "breaks", "invariant", run, "mutant", lambda folder, seed: "lost 3"), 1, 1)
    (said,) = outcome.wrong
    kept = Path(said.rsplit("logs: ", 1)[1])
    assert said.startswith("f: of it: late; ") and (kept / "ledger-1.log").read_text() == "fenced"


def test_a_control_that_finds_nothing_is_not_caught() -> None:
    assert judged(fault([WELL], [""]), 1, 1) == (WELL, "")
