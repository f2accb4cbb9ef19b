"""The period of a question, as people write it: ``2026-11-01``, ``2026-11-01T16:00`` (UTC) or ``7d`` ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tokenmeter.events.errors import Misconfigured

_AGO = re.compile(r"(\d{1,5})([hd])")
_UNITS = {"h": "hours", "d": "days"}
_HOUR = timedelta(hours=1)


def hour_of(time: datetime) -> datetime:
    """The beginning of the hour that a time is in, in UTC."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def period(since: str | None, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """[since, until): from the month's first day, up to and with what may be there by now.

    ``7d`` or ``12h`` ago is the beginning of the hour it falls in. Raises Misconfigured for what is no time.
    """
    # An event may be of five minutes ahead, so of the hour after this one.
    after = hour_of(now) + 2 * _HOUR
    month = hour_of(now).replace(day=1, hour=0)
    return (_time("since", since, now) if since else month, _time("until", until, now) if until else after)


def _time(name: str, text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return hour_of(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(
            f"{name} {text[:40]!r} is no time", hint="write 2026-11-01, 2026-11-01T16:00 (UTC) or 7d"
        ) from error
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
