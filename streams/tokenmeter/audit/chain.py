"""Page records alone: one after another without a gap, each sealed by the digest of the one before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenmeter.audit.compare import Difference, name_of
from tokenmeter.events.contract import CATALOG, PAGES
from tokenmeter.events.lines import FIRST_DIGEST

Page = Mapping[str, Any]


def broken(partition: int, pages: Sequence[Page], committed: int, catalog_end: int) -> Difference | None:
    """The first thing wrong with the page records of ``partition``, in the order they were appended.

    ``committed`` is the meter's position, read before the pages were (0: it has none): pages must reach it.
    ``catalog_end`` is the end of the catalog, read after them: no page can have been rated by more.
    """
    before: Page | None = None
    seen: set[tuple[int, int]] = set()
    for page in pages:
        name = name_of(page["partition"], page["first_offset"], page["last_offset"])
        bounds = (page["first_offset"], page["last_offset"])
        if page["partition"] != partition:
            return Difference(name, "partition", "topic partition", partition, PAGES, page["partition"])
        if bounds in seen:
            return Difference(name, "record", "page records", "once", PAGES, "twice")
        seen.add(bounds)
        if page["last_offset"] < page["first_offset"]:
            return Difference(name, "last_offset", PAGES, f"at least {bounds[0]}", PAGES, bounds[1])
        if page["catalog_offset"] > catalog_end:
            return Difference(name, "catalog_offset", CATALOG, f"at most {catalog_end}", PAGES, page["catalog_offset"])
        expected = _follows(name, before, page)
        if expected is not None:
            return expected
        before = page
    end = before["last_offset"] + 1 if before is not None else 0
    if before is not None and end < committed:
        name = name_of(partition, end, committed - 1)
        return Difference(name, "record", "the meter's position", committed, PAGES, f"no page from {end} on")
    return None


def _follows(name: str, before: Page | None, page: Page) -> Difference | None:
    if before is None:
        if page["first_offset"] == 0 and page["previous_digest"] != FIRST_DIGEST:
            return Difference(name, "previous_digest", "first page", FIRST_DIGEST.hex(), PAGES, _hex(page))
        return None
    expected = before["last_offset"] + 1
    if page["first_offset"] != expected:
        return Difference(name, "first_offset", "page before", expected, PAGES, page["first_offset"])
    if page["catalog_offset"] < before["catalog_offset"]:
        known = f"at least {before['catalog_offset']}"
        return Difference(name, "catalog_offset", "page before", known, PAGES, page["catalog_offset"])
    if page["previous_digest"] != before["digest"]:
        return Difference(name, "previous_digest", "page before", before["digest"].hex(), PAGES, _hex(page))
    return None


def _hex(page: Page) -> str:
    digest: bytes = page["previous_digest"]
    return digest.hex()


def begins_late(partition: int, pages: Sequence[Page], log_start: int) -> Difference | None:
    """Pages before the first one are missing although the log still has their events."""
    first = pages[0]
    beginning = first["previous_digest"] == FIRST_DIGEST
    if beginning or first["first_offset"] <= log_start:
        return None
    name = name_of(partition, log_start, first["first_offset"] - 1)
    return Difference(name, "record", "digest of the page after", "a page", PAGES, "none")
