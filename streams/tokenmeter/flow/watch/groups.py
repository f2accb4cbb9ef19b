"""One cause, one alert: when many subjects of a group (the keys of one model, say) move together, it is the group that
is told.

A subject votes while its score is GROUP_VOTE or more, or its episode is open. A group is in alarm when GROUP_SHARE of
its active subjects vote in one direction, GROUP_KEYS at least; by chance a thousandth would. While it is, what its
subjects would tell is kept as *grouped*, except of one that moves GROUP_FACTOR times as far as the group's median: it
has a cause of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.episodes import ALERT, NONE, OPEN, Seen, Told
from tokenmeter.flow.watch.exact import Floats, Ints, Longs

GROUP = np.dtype([("state", "u1"), ("since", "<i8"), ("last", "<i8"), ("told", "<f8")])


VOTE = np.dtype(
    [
        ("group", "<i8"),
        ("kind", "<i8"),
        *((name, "<f8") for name in ("score", "expected", "seen", "excess", "amount", "pace")),
    ]
)
"""A voter of one bucket and direction; the figures as in ALERT."""


class Groups:
    """Episodes of groups in one direction, by group number."""

    def __init__(self) -> None:
        self.episodes = np.zeros(0, GROUP)

    def _room(self, groups: int) -> None:
        if groups > len(self.episodes):
            self.episodes = np.concatenate([self.episodes, np.zeros(groups - len(self.episodes), GROUP)])

    def advance(self, bucket: int, votes: NDArray[np.void], active: Longs, quiet_buckets: float) -> NDArray[np.void]:
        """Move the groups' episodes by one bucket; ``active`` (groups) counts their active subjects."""
        self._room(len(active))
        count = np.bincount(votes["group"], minlength=len(active))
        need = np.maximum(active * settings.GROUP_SHARE, settings.GROUP_KEYS)
        episodes = self.episodes
        told: list[NDArray[np.void]] = []
        begins = (count >= need) & (episodes["state"] == NONE)
        moving = count >= np.where(episodes["state"] == OPEN, need / 2, need)
        episodes["since"][begins] = bucket
        episodes["last"][moving] = bucket
        ends = (episodes["state"] == OPEN) & (bucket - episodes["last"] >= quiet_buckets)
        for group in np.flatnonzero(begins | ends):
            told.append(self._tell(bucket, int(group), votes, Told.OPENED if begins[group] else Told.CLOSED))
        episodes["state"][begins] = OPEN
        episodes["state"][ends] = NONE
        return np.concatenate(told) if told else np.zeros(0, ALERT)

    def _tell(self, bucket: int, group: int, votes: NDArray[np.void], what: Told) -> NDArray[np.void]:
        of = votes["group"] == group
        alert = np.zeros(1, ALERT)
        alert["row"], alert["group"], alert["bucket"], alert["told"] = -1, group, bucket, what
        alert["since"] = self.episodes["since"][group]
        if of.any():
            alert["kind"] = np.bincount(votes["kind"][of]).argmax()
            alert["score"] = votes["score"][of].max()
            for name in ("expected", "seen", "excess", "amount", "pace"):
                # In order of size, so that the sum is the same whatever the order of the subjects.
                alert[name] = np.sort(votes[name][of]).cumsum()[-1]
            ratio = votes["seen"][of] / np.maximum(votes["expected"][of], 1e-9)
            self.episodes["told"][group] = np.sort(ratio)[len(ratio) // 2]
        return alert

    def absorb(self, alerts: NDArray[np.void]) -> None:
        """Mark what subjects of a group in alarm would open, or say worse, as grouped."""
        if not len(alerts) or not len(self.episodes):
            return
        group = alerts["group"]
        known = (group >= 0) & (group < len(self.episodes))
        episode = self.episodes[np.where(known, group, 0)]
        ratio = alerts["seen"] / np.maximum(alerts["expected"], 1e-9)
        own = ratio >= settings.GROUP_FACTOR * np.maximum(episode["told"], 1)
        opens = (alerts["told"] == Told.OPENED) | (alerts["told"] == Told.WORSE)
        alerts["told"][known & (episode["state"] == OPEN) & opens & ~own] = Told.GROUPED


def votes_of(group: Ints, excess: Floats, seen: Seen, plan: settings.Settings) -> NDArray[np.void]:
    """The votes of the rows in ``seen`` that have a group; ``excess`` (all rows) is their runs'."""
    has = group[seen.rows] >= 0
    rows = seen.rows[has]
    votes = np.zeros(len(rows), VOTE)
    votes["group"], votes["kind"], votes["score"] = group[rows], seen.kind[has], seen.score[has]
    votes["expected"], votes["seen"], votes["excess"] = seen.expected[has], seen.value[has], excess[rows]
    votes["amount"] = votes["excess"] * seen.price[has]
    votes["pace"] = votes["amount"] + np.maximum(seen.excess[has], 0) * seen.price[has] * plan.buckets_hour
    return votes
