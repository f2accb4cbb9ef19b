"""vLLM's OpenAI-compatible server.

prompt_tokens_details is null unless the server runs with --enable-prompt-tokens-details: cached tokens are then unknown
and counted as not cached, as such a server's owner would pay for them. With stream_options.continuous_usage_stats every
chunk carries running totals. https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
"""

from tokenmeter.emit.usage.compatible import fold, normalise

__all__ = ["fold", "normalise"]
