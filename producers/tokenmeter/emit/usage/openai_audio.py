"""OpenAI audio: transcriptions, speech and realtime.

Transcription, and its transcript.text.done event: usage of type ``tokens`` with input_token_details.audio_tokens, or of
type ``duration`` with ``seconds``, by which it is billed and which is noted as audio_seconds. Older verbose answers
have ``duration`` beside the text and no usage. speech.audio.done: input_tokens is text, output_tokens audio. Realtime,
event response.done: input_token_details {cached_tokens, audio_tokens, image_tokens}, output_token_details.audio_tokens.
https://platform.openai.com/docs/api-reference/audio,
https://platform.openai.com/docs/api-reference/realtime-server-events
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.billed import seconds
from tokenmeter.emit.usage.model import UNKNOWN_TOKENS, Usage
from tokenmeter.emit.usage.reader import Reader

SPEECH_DONE = "speech.audio.done"


def audio(response: Reader) -> Usage:
    """Raises Poison naming a missing field."""
    if response.get("usage") is None:
        response = response.part_or_none("response") or response
    usage = response.part_or_none("usage")
    timed = _timed(response, usage)
    if timed is not None:
        return Usage(notes=(*UNKNOWN_TOKENS, timed), model=response.text("model"))
    usage = response.part("usage")
    sent = usage.part_or_none("input_token_details", "input_tokens_details")
    made = usage.part_or_none("output_token_details", "output_tokens_details")
    output_tokens = usage.count("output_tokens")
    spoken = output_tokens if response.text("type") == SPEECH_DONE else 0
    return Usage(
        input_tokens=usage.count("input_tokens"),
        cached_input_tokens=sent.detail("cached_tokens") if sent else 0,
        input_audio_tokens=sent.detail("audio_tokens") if sent else 0,
        input_image_tokens=sent.detail("image_tokens") if sent else 0,
        output_tokens=output_tokens,
        output_audio_tokens=made.detail("audio_tokens") if made else spoken,
        tool_calls=sum(item.text("type") == "function_call" for item in response.parts("output")),
        model=response.text("model"),
        finish_reason=response.text("status"),
        upstream_id=response.text("id"),
    )


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream to ``seen``; the last one has the usage."""
    usage = event.get("usage")
    if usage is not None:
        seen.update(type=event.text("type"), usage=usage)


def _timed(response: Reader, usage: Reader | None) -> str | None:
    """The note of a call that is billed by its length."""
    if usage is not None and usage.text("type") == "duration":
        return f"audio_seconds={seconds(usage, 'seconds')}"
    if usage is None and response.get("text") is not None and response.get("duration") is not None:
        return f"audio_seconds={seconds(response, 'duration')}"
    return None
