"""From an answer, or the pieces of one, to Usage: the body's shape chooses the reader, the provider's family helps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tokenmeter.emit.usage.families import Family, family
from tokenmeter.emit.usage.model import Usage, checked
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.emit.usage.shape_readers import SHAPES
from tokenmeter.emit.usage.shapes import Shape, shape_of

_GATHERED, _NOTED = "tokenmeter_shape", "tokenmeter_notes"
"""Where a dict that ``fold`` fills remembers the shape of its chunks, and what was odd in them."""
_PROMPTED = frozenset({Shape.CHAT, Shape.MESSAGES, Shape.GEMINI, Shape.DASHSCOPE, Shape.CONVERSE, Shape.OLLAMA})
"""Streams that answer a prompt, and no prompt is empty: totals of zero are placeholders of what was never told."""


def normalise(provider: str, response: Any) -> Usage:
    """The usage of one response, a client's object or the decoded JSON; of a stream the last chunk, or ``fold``'s dict.

    Pure. Raises Poison: ``usage_missing`` names the field that is not there, ``usage_shape`` one of a wrong kind or a
    body of another family, ``usage_conflict`` figures that contradict each other, and accept's own reasons what would
    not be accepted. What is odd and costs nothing but a detail is in the Usage's notes.
    """
    found = family(provider)
    body = Reader(found.name, response)
    gathered = _gathered(response)
    shape = gathered or _shape(found, body)
    read = found.read if shape is None else found.dialect.get(shape) or SHAPES[shape][0]
    usage = read(body)
    if found.refine is not None:
        usage = found.refine(body, usage)
    if gathered in _PROMPTED and not (usage.input_tokens or usage.output_tokens or usage.notes):
        raise body.missing("usage")
    notes = [*body.notes, *(response.get(_NOTED, ()) if gathered else ())]
    if notes:
        usage = replace(usage, notes=(*usage.notes, *dict.fromkeys(notes)))
    return checked(found.name, usage)


def fold(provider: str, seen: dict[str, Any], chunk: Any) -> None:
    """Add one chunk of a stream to ``seen`` (at first empty), which normalise() then reads.

    ``seen`` holds figures and names, never text, and is worth reading after any chunk: it has the usage so far.
    Raises Poison if the chunk is of a shape that the provider does not speak.
    """
    found = family(provider)
    piece = Reader(found.name, chunk)
    shape = _shape(found, piece)
    if shape is None:
        found.fold(seen, piece)
        return
    SHAPES[shape][1](seen, piece)
    if _GATHERED not in seen:
        seen[_GATHERED] = shape
    if piece.notes:
        seen.setdefault(_NOTED, []).extend(note for note in piece.notes if note not in seen.get(_NOTED, ()))
    if found.refine is not None and "provider" not in seen and (served := piece.get("provider")) is not None:
        seen["provider"] = served


def gather(provider: str, chunks: Iterable[Any]) -> Usage:
    """The usage of a whole stream."""
    seen: dict[str, Any] = {}
    for chunk in chunks:
        fold(provider, seen, chunk)
    return normalise(provider, seen)


def _gathered(response: Any) -> Shape | None:
    """The shape of what ``fold`` filled; None for an answer, whatever it holds."""
    shape = response.get(_GATHERED) if type(response) is dict else None
    return shape if isinstance(shape, Shape) else None


def _shape(found: Family, body: Reader) -> Shape | None:
    shape = shape_of(body)
    if shape is not None and shape not in found.speaks:
        raise body.refused(f"it looks like one of {shape.value}, which {found.name} does not answer in")
    return shape
