"""Reads usage traces as events: ``azure`` (CSV), ``mooncake`` (JSON lines) and ``jsonl`` (our own events).

A file may be compressed with gzip. Ids, source and sequence come from its content and the line, so replaying a file
twice counts once, compressed or not.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

from pydantic import ValidationError

from tokenmeter.emit.json_events import event_of, parsed
from tokenmeter.emit.replay.catalogue import CHAT_MODELS, CODE_MODELS, attribute
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import Misconfigured

PREFIX_BLOCK_TOKENS = 512
FIRST_BYTES_MAX = 1 << 20
UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError)
"""What reading a line raises, whatever it holds."""
_GZIP = b"\x1f\x8b"
AZURE_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")

BadLine = Callable[[Misconfigured], None]


def yesterday(now: datetime) -> datetime:
    """00:00 UTC of the day before: where a trace begins unless told otherwise."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def format_of(path: Path) -> str:
    """The format a file's first line shows. Raises Misconfigured naming the file when it shows none."""
    try:
        with _opened(path) as lines:
            first = lines.readline(FIRST_BYTES_MAX).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise Misconfigured(f"cannot read trace {path}: {error}", hint="tokenmeter replay --help") from error
    if first.startswith(",".join(AZURE_COLUMNS)):
        return "azure"
    if first.lstrip().startswith("{"):
        return "mooncake" if '"hash_ids"' in first else "jsonl"
    raise Misconfigured(f"{path} is no trace: its first line is {first[:60]!r}", hint="tokenmeter replay --help")


def read(path: Path, start: datetime, kind: str | None = None, on_bad: BadLine | None = None) -> Iterator[UsageEvent]:
    """The events of a trace, its first call at ``start`` (jsonl: its own times).

    An unreadable line raises Misconfigured naming file, line and cause, or goes to ``on_bad`` and is left out.
    """
    kind = kind or format_of(path)
    readers = {"azure": _azure, "mooncake": _mooncake, "jsonl": _jsonl}
    if kind not in readers:
        raise Misconfigured(f"{kind!r} is no trace format", hint=f"one of {', '.join(readers)}")
    reader = readers[kind](start, _identity(path))
    with _opened(path) as lines:
        for number, line in enumerate(_whole(lines, path), 1):
            try:
                # A line that is no UTF-8 is that line's fault: its reader refuses what stands for its bytes.
                event = reader(number, line.decode("utf-8", "surrogateescape"))
            except (
                ValueError,
                KeyError,
                TypeError,
                IndexError,
                AttributeError,
                OverflowError,
                RecursionError,
            ) as error:
                reason = _told(error) if isinstance(error, ValidationError) else f"{error}"
                bad = Misconfigured(
                    f"{path} line {number} cannot be read as {kind}: {reason}", hint="mend the line, or use --skip-bad"
                )
                if on_bad is None:
                    raise bad from error
                on_bad(bad)
                continue
            if event is not None:
                yield event


def _told(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else first["msg"]


def lines_of(path: Path) -> int:
    """How many events a trace may have at most, for a bar. Reads it once; Misconfigured when it cannot be read."""
    kind = format_of(path)
    with _opened(path) as lines:
        count = sum(1 for line in _whole(lines, path) if line.strip())
    return count - 1 if kind == "azure" else count


def _opened(path: Path) -> IO[bytes]:
    """Its bytes, unpacked. Raises OSError."""
    with path.open("rb") as found:
        packed = found.read(len(_GZIP)) == _GZIP
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")


def _whole(lines: IO[bytes], path: Path) -> Iterator[bytes]:
    """Each line; a file that is cut off is an error of ours."""
    try:
        yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured(f"cannot read trace {path} to its end: {error}", hint="copy the file again") from error


def _identity(path: Path) -> str:
    """Names a trace by its content, wherever the file lies and however it is packed."""
    stem = path.stem if path.suffix == ".gz" else path.name
    digest = hashlib.sha256()
    with _opened(path) as content:
        try:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
        except (EOFError, zlib.error) as error:
            raise Misconfigured(f"cannot read trace {path} to its end: {error}", hint="copy the file again") from error
    return f"{Path(stem).stem}-{digest.hexdigest()[:12]}"


def _call(identity: str, number: int, models: tuple[tuple[str, str], ...], **figures: Any) -> UsageEvent:
    origin = f"{identity}:{number}"
    return UsageEvent(
        event_id=hashlib.blake2b(origin.encode(), digest_size=16).hexdigest(),
        source=identity,
        sequence=number,
        **vars(attribute(origin, models)),
        **figures,
    )


def _azure(start: datetime, identity: str) -> Callable[[int, str], UsageEvent | None]:
    first: list[datetime] = []

    def event(number: int, line: str) -> UsageEvent | None:
        if number == 1 or not line.strip():
            return None
        row = next(csv.reader([line]))
        if len(row) != len(AZURE_COLUMNS):
            raise ValueError(f"{len(row)} columns, expected {len(AZURE_COLUMNS)}")
        # Seven digits of fraction; Python's clock has six.
        at = datetime.fromisoformat(row[0][:26]).replace(tzinfo=UTC)
        first.append(at) if not first else None
        return _call(
            identity,
            number,
            CODE_MODELS,
            occurred_at=start + (at - first[0]),
            input_tokens=int(row[1]),
            output_tokens=int(row[2]),
        )

    return event


def _mooncake(start: datetime, identity: str) -> Callable[[int, str], UsageEvent | None]:
    seen: set[int] = set()

    def event(number: int, line: str) -> UsageEvent | None:
        if not line.strip():
            return None
        call = json.loads(line)
        blocks: list[int] = call["hash_ids"]
        reused = next((i for i, block in enumerate(blocks) if block not in seen), len(blocks))
        seen.update(blocks)
        return _call(
            identity,
            number,
            CHAT_MODELS,
            occurred_at=start + timedelta(milliseconds=call["timestamp"]),
            input_tokens=int(call["input_length"]),
            cached_input_tokens=min(reused * PREFIX_BLOCK_TOKENS, int(call["input_length"])),
            output_tokens=int(call["output_length"]),
        )

    return event


def _jsonl(start: datetime, identity: str) -> Callable[[int, str], UsageEvent | None]:
    def event(number: int, line: str) -> UsageEvent | None:
        return event_of(parsed(line)) if line.strip() else None

    return event
