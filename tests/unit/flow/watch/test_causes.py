"""One open alert per cause: measures of a subject, and keys of a customer, are told once, and what is told ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch.causes import Causes, What
from tokenmeter.flow.watch.episodes import ALERT, Told
from tokenmeter.flow.watch.settings import Kind

CUSTOMER, KEY, OTHER = 0, 1, 2
NOTHING = np.zeros(0, ALERT)


def made() -> Causes:
    return Causes({KEY: CUSTOMER}.get)


def found(*told: tuple[int, Told], kind: Kind = Kind.SPIKE, group: int = -1) -> NDArray[np.void]:
    records = np.zeros(len(told), ALERT)
    records["row"], records["told"] = [row for row, _ in told], [what for _, what in told]
    records["kind"], records["group"] = kind, group
    return records


def test_two_measures_of_a_subject_are_one_alert_that_ends_with_the_last() -> None:
    causes = made()
    opened = causes.advance(1, [found((OTHER, Told.OPENED)), found((OTHER, Told.OPENED))])
    assert [one.what for one in opened] == [What.OPENED]
    assert causes.advance(2, [found((OTHER, Told.CLOSED)), NOTHING]) == []
    assert [one.what for one in causes.advance(3, [NOTHING, found((OTHER, Told.CLOSED))])] == [What.CLOSED]
    assert causes.open == {}


def test_a_key_is_told_and_its_customer_is_not_though_it_comes_first() -> None:
    causes = made()
    opened = causes.advance(1, [found((CUSTOMER, Told.OPENED), (KEY, Told.OPENED))])
    assert [one.cause.row for one in opened] == [KEY]
    ended = causes.advance(2, [found((CUSTOMER, Told.CLOSED), (KEY, Told.NEW_NORMAL))])
    assert [(one.cause.row, one.what) for one in ended] == [(KEY, What.NEW_NORMAL)]
    assert [one.cause.row for one in causes.advance(3, [found((CUSTOMER, Told.OPENED))])] == [CUSTOMER]


def test_rising_and_falling_are_two_causes_and_only_who_told_it_tells_that_it_is_worse() -> None:
    causes = made()
    causes.advance(1, [found((OTHER, Told.OPENED)), found((OTHER, Told.OPENED), kind=Kind.SILENCE)])
    assert set(causes.open) == {(OTHER, False), (OTHER, True)}
    worse = causes.advance(2, [found((OTHER, Told.WORSE)), found((OTHER, Told.WORSE))])
    assert [(one.what, one.measure, one.cause.worse) for one in worse] == [(What.WORSE, 0, 1)]


def test_a_group_is_a_cause_of_its_own_and_what_never_opened_does_not_end() -> None:
    causes = made()
    opened = causes.advance(1, [found((-1, Told.OPENED), (OTHER, Told.GROUPED), group=4)])
    assert [one.cause.row for one in opened] == [-5]
    assert causes.advance(2, [found((OTHER, Told.CLOSED))]) == []
    assert [one.cause.row for one in causes.advance(3, [found((-1, Told.CLOSED), group=4)])] == [-5]


def test_a_cause_survives_as_numbers() -> None:
    causes = made()
    causes.advance(7, [found((OTHER, Told.OPENED), (CUSTOMER, Told.OPENED))])
    causes.advance(8, [found((OTHER, Told.WORSE))])
    again = made()
    again.restore(causes.numbers())
    assert again.open == causes.open
