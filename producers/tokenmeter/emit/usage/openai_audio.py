"""OpenAI audio: transcriptions, speech and realtime, where they report tokens.

Transcription, and its transcript.text.done event: usage of type ``tokens`` with input_token_details.audio_tokens.
speech.audio.done: input_tokens is text, output_tokens audio. Realtime, event response.done: input_token_details
{cached_tokens, audio_tokens, image_tokens}, output_token_details.audio_tokens.
https://platform.openai.com/docs/api-reference/audio, https://platform.openai.com/docs/api-reference/realtime-server-events
"""

from __future__ import annotations

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

SPEECH_DONE = "speech.audio.done"


def audio(response: Reader) -> Usage:
    """Raises Poison naming a missing field, or saying that the call is billed by time (whisper-1)."""
    usage = response.part("usage")
    if usage.text("type") == "duration":
        raise usage.refused("usage.type is duration: it is billed by seconds of audio, and reports no tokens")
    sent = usage.part_or_none("input_token_details", "input_tokens_details")
    made = usage.part_or_none("output_token_details", "output_tokens_details")
    output_tokens = usage.count("output_tokens")
    spoken = output_tokens if response.text("type") == SPEECH_DONE else 0
    return Usage(
        input_tokens=usage.count("input_tokens"),
        cached_input_tokens=sent.count_or_zero("cached_tokens") if sent else 0,
        input_audio_tokens=sent.count_or_zero("audio_tokens") if sent else 0,
        input_image_tokens=sent.count_or_zero("image_tokens") if sent else 0,
        output_tokens=output_tokens,
        output_audio_tokens=made.count_or_zero("audio_tokens") if made else spoken,
        tool_calls=sum(item.text("type") == "function_call" for item in response.parts("output")),
        model=response.text("model"),
        finish_reason=response.text("status"),
        upstream_id=response.text("id"),
    )
