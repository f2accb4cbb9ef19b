"""Watches the stream objects of a generated client while their caller reads them.

A stream ends when it is exhausted, fails, is closed or is let go; in the last two cases the caller has cut it.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

from tokenmeter.emit.integrations.planned import Planned


def watch(stream: Any, planned: Planned) -> None:
    """See what the caller sees of ``stream``, and when it ends."""
    # The caller keeps the object it knows: a type of ours under it changes how it is iterated, and nothing else.
    kind: type = type(stream)
    stream.__class__ = _watched(kind)
    stream.tokenmeter_planned = planned
    # No __del__: a stream may be copied, and only the caller's own going away is an end.
    weakref.finalize(stream, planned.call.collected)


@cache
def _watched(kind: type) -> type:
    return _async_watched(kind) if hasattr(kind, "__anext__") else _sync_watched(kind)


# An object's type can be exchanged for one with the same single base only: hence classes made in functions, no mixins.
def _sync_watched(kind: Any) -> type:
    class Watched(kind):  # type: ignore[misc]
        tokenmeter_planned: Planned
        tokenmeter_reads = False

        def __next__(self) -> Any:
            planned = self.tokenmeter_planned
            while True:
                # Some streams close themselves when they come to their end: that is no caller who goes away.
                self.tokenmeter_reads = True
                try:
                    chunk = super().__next__()
                except StopIteration:
                    planned.call.ended()
                    raise
                except BaseException as error:
                    planned.call.failed(error)
                    raise
                finally:
                    self.tokenmeter_reads = False
                planned.call.chunk(chunk)
                if planned.hides is None or not planned.hides(chunk):
                    return chunk

        def __iter__(self) -> Iterator[Any]:
            # As __next__, without going through it: of a thousand chunks this is what a caller pays.
            planned, following = self.tokenmeter_planned, super().__next__
            saw, hides = planned.call.chunk, planned.hides
            while True:
                self.tokenmeter_reads = True
                try:
                    chunk = following()
                except StopIteration:
                    planned.call.ended()
                    return
                except BaseException as error:
                    planned.call.failed(error)
                    raise
                finally:
                    self.tokenmeter_reads = False
                saw(chunk)
                if hides is None or not hides(chunk):
                    yield chunk

        def close(self) -> None:
            try:
                super().close()
            finally:
                if not self.tokenmeter_reads:
                    self.tokenmeter_planned.call.left()

    return Watched


def _async_watched(kind: Any) -> type:
    class Watched(kind):  # type: ignore[misc]
        tokenmeter_planned: Planned
        tokenmeter_reads = False

        async def __anext__(self) -> Any:
            planned = self.tokenmeter_planned
            while True:
                self.tokenmeter_reads = True
                try:
                    chunk = await super().__anext__()
                except StopAsyncIteration:
                    planned.call.ended()
                    raise
                except BaseException as error:
                    planned.call.failed(error)
                    raise
                finally:
                    self.tokenmeter_reads = False
                planned.call.chunk(chunk)
                if planned.hides is None or not planned.hides(chunk):
                    return chunk

        async def __aiter__(self) -> AsyncIterator[Any]:
            planned, following = self.tokenmeter_planned, super().__anext__
            saw, hides = planned.call.chunk, planned.hides
            while True:
                self.tokenmeter_reads = True
                try:
                    chunk = await following()
                except StopAsyncIteration:
                    planned.call.ended()
                    return
                except BaseException as error:
                    planned.call.failed(error)
                    raise
                finally:
                    self.tokenmeter_reads = False
                saw(chunk)
                if hides is None or not hides(chunk):
                    yield chunk

        async def close(self) -> None:
            try:
                await super().close()
            finally:
                if not self.tokenmeter_reads:
                    self.tokenmeter_planned.call.left()

    return Watched
