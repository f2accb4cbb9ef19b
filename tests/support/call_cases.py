"""Calls of the real clients as data, and what their callers get, byte for byte: to hold two clients against each other.

A Case names a method of the client, its arguments and how the caller reads the answer; perform() runs it with a
synchronous or an asynchronous client and tells everything the caller can see: objects, bytes, the order, the error.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

CUT_AFTER = 2
"""Chunks after which a caller who leaves a stream does so."""
_VOLATILE = ("date", "server", "connection")


@dataclass(frozen=True)
class Case:
    """``reads``: whole, stream, cut by break, close or with, raw, raw-stream, unread-bytes, unread-parse, unread-lines,
    helper. ``calls`` of it are metered or counted as lost."""

    name: str
    method: str
    arguments: dict[str, Any] = field(default_factory=dict)
    reads: str = "whole"
    calls: int = 1


def perform(client: Any, case: Case) -> list[str]:
    """What the caller of a synchronous client sees."""
    seen: list[str] = []
    try:
        _perform(client, case, seen)
    except Exception as error:
        seen.append(_error(error))
    return seen


async def perform_async(client: Any, case: Case) -> list[str]:
    """The same of an asynchronous client."""
    seen: list[str] = []
    try:
        await _perform_async(client, case, seen)
    except Exception as error:
        seen.append(_error(error))
    return seen


def _perform(client: Any, case: Case, seen: list[str]) -> None:
    made = _call(client, case)
    if case.reads in ("whole", "stream", "close"):
        _read(made, case, seen)
    elif case.reads == "break":
        for number, chunk in enumerate(made, 1):
            seen.append(_text(chunk))
            if number == CUT_AFTER:
                break
        made.close()
    elif case.reads == "raw":
        seen += [_headers(made.headers), _text(made.http_response.content), _text(made.parse())]
    elif case.reads == "raw-stream":
        seen += [_headers(made.headers), *map(_text, made.parse())]
    elif case.reads.startswith("unread"):
        with made as response:
            seen.append(_headers(response.headers))
            if case.reads == "unread-bytes":
                seen.append(_text(b"".join(response.iter_bytes())))
            elif case.reads == "unread-lines":
                seen += response.iter_lines()
            else:
                seen.append(_text(response.parse()))
    else:  # with, helper
        with made as stream:
            for number, chunk in enumerate(stream, 1):
                seen.append(_text(chunk))
                if case.reads == "with" and number == CUT_AFTER:
                    break


def _read(made: Any, case: Case, seen: list[str]) -> None:
    if case.reads == "whole":
        seen.append(_text(made))
        return
    for number, chunk in enumerate(made, 1):
        seen.append(_text(chunk))
        if case.reads == "close" and number == CUT_AFTER:
            made.close()
            break


async def _perform_async(client: Any, case: Case, seen: list[str]) -> None:
    made = _call(client, case)
    if inspect.isawaitable(made) and not hasattr(made, "__aenter__"):
        made = await made
    if case.reads == "whole":
        seen.append(_text(made))
    elif case.reads in ("stream", "close", "break"):
        number = 0
        async for chunk in made:
            seen.append(_text(chunk))
            number += 1
            if case.reads != "stream" and number == CUT_AFTER:
                break
        if case.reads != "stream":
            await made.close()
    elif case.reads == "raw":
        seen += [_headers(made.headers), _text(made.http_response.content), _text(await _maybe(made.parse()))]
    elif case.reads == "raw-stream":
        seen.append(_headers(made.headers))
        async for chunk in await _maybe(made.parse()):
            seen.append(_text(chunk))
    elif case.reads.startswith("unread"):
        async with made as response:
            seen.append(_headers(response.headers))
            if case.reads == "unread-bytes":
                seen.append(_text(b"".join([data async for data in response.iter_bytes()])))
            elif case.reads == "unread-lines":
                seen += [line async for line in response.iter_lines()]
            else:
                seen.append(_text(await response.parse()))
    else:
        async with made as stream:
            number = 0
            async for chunk in stream:
                seen.append(_text(chunk))
                number += 1
                if case.reads == "with" and number == CUT_AFTER:
                    break


def _call(client: Any, case: Case) -> Any:
    method: Callable[..., Any] = functools.reduce(getattr, case.method.split("."), client)
    return method(**case.arguments)


async def _maybe(found: Any) -> Any:
    return await found if isinstance(found, Awaitable) else found


def _text(seen: Any) -> str:
    if isinstance(seen, bytes):
        return seen.decode()
    if hasattr(seen, "to_json"):
        # Fields that were told, and all fields: neither may differ.
        told, whole = seen.to_json(indent=None, warnings=False), seen.model_dump_json(warnings=False)
        return f"{type(seen).__qualname__} {told} {whole}"
    return repr(seen)


def _headers(headers: Any) -> str:
    return repr(sorted((name, value) for name, value in headers.items() if name.lower() not in _VOLATILE))


def _error(error: BaseException) -> str:
    told = {name: getattr(error, name, None) for name in ("status_code", "body", "code", "param", "request_id")}
    causes = [type(cause).__name__ for cause in _chain(error)]
    return f"{causes} {error} {told}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
