"""Zhipu (Z.ai) GLM: OpenAI's chat shape with prompt_tokens_details.cached_tokens; Anthropic's beside it.

https://docs.z.ai/api-reference/llm/chat-completion, https://docs.z.ai/guides/capabilities/cache
"""

from tokenmeter.emit.usage.compatible import fold, normalise

__all__ = ["fold", "normalise"]
