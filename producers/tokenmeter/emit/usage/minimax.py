"""MiniMax: OpenAI's chat shape with ``base_resp``, which carries errors under HTTP 200.

It answers in Anthropic's shape and in OpenAI's responses shape as well. Its total_characters bills nothing any more.
https://platform.minimax.io/docs/api-reference/text-post,
https://platform.minimaxi.com/docs/api-reference/responses-create
"""

from __future__ import annotations

from tokenmeter.emit.usage import openai
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """An answer without usage. Raises Poison with MiniMax's own status code where the call failed."""
    status = response.part_or_none("base_resp")
    code = status.count_or_zero("status_code") if status else 0
    if code and response.get("usage") is None:
        raise response.refused(f"base_resp.status_code is {code}: the call failed and has no usage")
    return openai.normalise(response)
