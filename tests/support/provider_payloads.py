"""Responses in the shape of each provider's public reference, and what they come to in our token classes.

The field names, nesting and which fields are there follow the page that ``reference`` names; the figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Payload:
    """``expected`` names every field of Usage that is not at its default."""

    name: str
    provider: str
    reference: str
    response: dict[str, Any] = field(repr=False)
    expected: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Stream:
    """The chunks of one streamed answer; ``so_far`` is what the first ``cut`` come to, None for no usage yet."""

    name: str
    provider: str
    reference: str
    chunks: list[dict[str, Any]] = field(repr=False)
    expected: dict[str, Any] = field(repr=False)
    cut: int = 2
    so_far: dict[str, Any] | None = None


def _chat(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = {"role": "assistant", "content": "Hello", "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_741_569_952,
        "model": "m-1",
        "choices": [{"index": 0, "message": answer, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage,
        **more,
    }


CHAT = {"model": "m-1", "finish_reason": "stop", "upstream_id": "chatcmpl-1"}
"""What ``_chat`` says of itself."""
TOOLS = [
    {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    {"id": "call_2", "type": "function", "function": {"name": "here", "arguments": "{}"}},
]

OPENAI = "https://platform.openai.com/docs/api-reference"
ANTHROPIC = "https://docs.anthropic.com/en/api/messages"
GEMINI = "https://ai.google.dev/api/generate-content#UsageMetadata"
VERTEX = "https://cloud.google.com/vertex-ai/generative-ai/docs"
BEDROCK = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html"
COHERE = "https://docs.cohere.com/reference"
ALIBABA = "https://www.alibabacloud.com/help/en/model-studio"

PAYLOADS: tuple[Payload, ...] = (
    Payload(
        "openai chat with cached, audio and reasoning tokens",
        "openai",
        f"{OPENAI}/chat/object",
        _chat(
            {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 40, "cache_write_tokens": 30},
                "completion_tokens_details": {
                    "reasoning_tokens": 192,
                    "audio_tokens": 20,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            service_tier="default",
            choices=[
                {"index": 0, "message": {"content": None, "tool_calls": TOOLS}, "finish_reason": "tool_calls"},
            ],
        ),
        {
            **CHAT,
            "input_tokens": 2006,
            "cached_input_tokens": 1920,
            "cache_write_tokens": 30,
            "input_audio_tokens": 40,
            "output_tokens": 300,
            "reasoning_tokens": 192,
            "output_audio_tokens": 20,
            "finish_reason": "tool_calls",
            "service_tier": "default",
            "tool_calls": 2,
        },
    ),
    Payload(
        "openai completion",
        "openai",
        f"{OPENAI}/completions/object",
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "model": "m-1",
            "choices": [{"text": "This", "index": 0, "logprobs": None, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        },
        {"input_tokens": 5, "output_tokens": 7, "model": "m-1", "finish_reason": "length", "upstream_id": "cmpl-1"},
    ),
    Payload(
        "openai embedding",
        "openai",
        f"{OPENAI}/embeddings/create",
        {
            "object": "list",
            "data": [{"object": "embedding", "embedding": [0.1], "index": 0}],
            "model": "text-embedding-ada-002",
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        {"input_tokens": 8, "model": "text-embedding-ada-002"},
    ),
    Payload(
        "openai response with tools, searches and cache",
        "openai",
        f"{OPENAI}/responses/object",
        {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": "gpt-5",
            "service_tier": "flex",
            "incomplete_details": None,
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "web_search_call", "id": "ws_1", "status": "completed"},
                {"type": "function_call", "name": "now", "arguments": "{}"},
                {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hi"}]},
            ],
            "usage": {
                "input_tokens": 1000,
                "input_tokens_details": {
                    "cached_tokens": 700,
                    "cache_write_tokens": 200,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 150, "ttl_12h_tokens": 50},
                },
                "output_tokens": 87,
                "output_tokens_details": {"reasoning_tokens": 64},
                "total_tokens": 1087,
            },
        },
        {
            "input_tokens": 1000,
            "cached_input_tokens": 700,
            "cache_write_tokens": 150,
            "cache_write_1h_tokens": 50,
            "output_tokens": 87,
            "reasoning_tokens": 64,
            "tool_calls": 2,
            "web_searches": 1,
            "model": "gpt-5",
            "finish_reason": "completed",
            "upstream_id": "resp_1",
            "service_tier": "flex",
        },
    ),
    Payload(
        "openai response that ran into its limit",
        "openai",
        f"{OPENAI}/responses-streaming/response/incomplete",
        {
            "type": "response.incomplete",
            "response": {
                "id": "resp_2",
                "object": "response",
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
                "model": "gpt-5",
                "output": [],
                "usage": {
                    "input_tokens": 10,
                    "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens": 16,
                    "output_tokens_details": {"reasoning_tokens": 16},
                    "total_tokens": 26,
                },
            },
        },
        {
            "input_tokens": 10,
            "output_tokens": 16,
            "reasoning_tokens": 16,
            "model": "gpt-5",
            "finish_reason": "max_output_tokens",
            "upstream_id": "resp_2",
        },
    ),
    Payload(
        "openai transcription",
        "openai",
        f"{OPENAI}/audio/createTranscription",
        {
            "text": "Imagine",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                "output_tokens": 45,
                "total_tokens": 59,
            },
        },
        {"input_tokens": 14, "input_audio_tokens": 10, "output_tokens": 45},
    ),
    Payload(
        "openai speech, the stream's last event",
        "openai",
        f"{OPENAI}/audio/speech-audio-done-event",
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
        {"input_tokens": 14, "output_tokens": 101, "output_audio_tokens": 101},
    ),
    Payload(
        "openai realtime",
        "openai",
        f"{OPENAI}/realtime-server-events/response/done",
        {
            "event_id": "event_1",
            "type": "response.done",
            "response": {
                "object": "realtime.response",
                "id": "resp_3",
                "status": "completed",
                "output": [{"type": "message", "role": "assistant"}],
                "usage": {
                    "total_tokens": 275,
                    "input_tokens": 127,
                    "output_tokens": 148,
                    "input_token_details": {"text_tokens": 119, "audio_tokens": 8, "cached_tokens": 64},
                    "output_token_details": {"text_tokens": 36, "audio_tokens": 112},
                },
            },
        },
        {
            "input_tokens": 127,
            "cached_input_tokens": 64,
            "input_audio_tokens": 8,
            "output_tokens": 148,
            "output_audio_tokens": 112,
            "finish_reason": "completed",
            "upstream_id": "resp_3",
        },
    ),
    Payload(
        "openai image, part of it drawn by another model",
        "openai",
        f"{OPENAI}/images/object",
        {
            "created": 1_713_833_628,
            "data": [{"b64_json": "..."}, {"b64_json": "..."}],
            "usage": {
                "total_tokens": 100,
                "input_tokens": 50,
                "output_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            },
            "svg_usage": {
                "model": "gpt-5",
                "input_tokens": 9,
                "output_tokens": 8,
                "reasoning_tokens": 3,
                "total_tokens": 17,
            },
        },
        {
            "input_tokens": 50,
            "input_image_tokens": 40,
            "output_tokens": 50,
            "output_image_tokens": 50,
            "images_out": 2,
            "also": ({"model": "gpt-5", "input_tokens": 9, "output_tokens": 8, "reasoning_tokens": 3},),
        },
    ),
    Payload(
        "azure openai chat",
        "azure_openai",
        "https://learn.microsoft.com/azure/ai-services/openai/reference#chat-completions",
        _chat(
            {
                "completion_tokens": 33,
                "prompt_tokens": 557,
                "total_tokens": 590,
                "completion_tokens_details": None,
                "prompt_tokens_details": None,
            },
            prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}],
        ),
        {**CHAT, "input_tokens": 557, "output_tokens": 33},
    ),
    Payload(
        "xai leaves reasoning out of completion tokens",
        "compatible",
        "https://docs.x.ai/docs/guides/reasoning",
        _chat(
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
            }
        ),
        {**CHAT, "input_tokens": 32, "cached_input_tokens": 6, "output_tokens": 103, "reasoning_tokens": 94},
    ),
    Payload(
        "anthropic message with reads, both writes, thinking and a search",
        "anthropic",
        ANTHROPIC,
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [
                {"type": "thinking", "thinking": "...", "signature": "..."},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
                {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 2048,
                "cache_read_input_tokens": 1800,
                "cache_creation_input_tokens": 248,
                "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
                "output_tokens": 503,
                "output_tokens_details": {"thinking_tokens": 300},
                "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
                "service_tier": "standard",
            },
        },
        {
            "input_tokens": 4096,
            "cached_input_tokens": 1800,
            "cache_write_tokens": 148,
            "cache_write_1h_tokens": 100,
            "output_tokens": 503,
            "reasoning_tokens": 300,
            "tool_calls": 2,
            "web_searches": 1,
            "model": "claude-sonnet-4-5",
            "finish_reason": "tool_use",
            "upstream_id": "msg_1",
            "service_tier": "standard",
        },
    ),
    Payload(
        "anthropic message without a cache",
        "anthropic",
        ANTHROPIC,
        {
            "id": "msg_2",
            "type": "message",
            "model": "claude-opus-4-5",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 10,
                "output_tokens": 25,
                "cache_creation_input_tokens": None,
                "cache_read_input_tokens": None,
                "cache_creation": None,
                "server_tool_use": None,
            },
        },
        {
            "input_tokens": 10,
            "output_tokens": 25,
            "model": "claude-opus-4-5",
            "finish_reason": "end_turn",
            "upstream_id": "msg_2",
        },
    ),
    Payload(
        "anthropic message with a compaction and an advisor",
        "anthropic",
        "https://docs.anthropic.com/en/docs/build-with-claude/compaction",
        {
            "id": "msg_3",
            "type": "message",
            "model": "claude-sonnet-4-5",
            "content": [],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 100,
                "output_tokens": 50,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": 1000,
                        "output_tokens": 300,
                        "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": 200,
                    },
                    {
                        "type": "message",
                        "input_tokens": 100,
                        "output_tokens": 50,
                        "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": 0,
                    },
                    {
                        "type": "advisor_message",
                        "model": "claude-opus-4-5",
                        "input_tokens": 70,
                        "output_tokens": 7,
                        "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": 30,
                    },
                ],
            },
        },
        {
            "input_tokens": 1300,
            "cached_input_tokens": 200,
            "output_tokens": 350,
            "model": "claude-sonnet-4-5",
            "finish_reason": "end_turn",
            "upstream_id": "msg_3",
            "also": ({"model": "claude-opus-4-5", "input_tokens": 100, "cached_input_tokens": 30, "output_tokens": 7},),
        },
    ),
    Payload(
        "gemini with cached content, thoughts, tool results and modalities",
        "gemini",
        GEMINI,
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": "Hi"}, {"functionCall": {"name": "now", "args": {}}}]},
                    "finishReason": "STOP",
                    "groundingMetadata": {"webSearchQueries": ["a", "b"]},
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 1000,
                "cachedContentTokenCount": 600,
                "candidatesTokenCount": 40,
                "toolUsePromptTokenCount": 120,
                "thoughtsTokenCount": 300,
                "totalTokenCount": 1460,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 650},
                    {"modality": "IMAGE", "tokenCount": 258},
                    {"modality": "AUDIO", "tokenCount": 92},
                ],
                "toolUsePromptTokensDetails": [{"modality": "IMAGE", "tokenCount": 20}],
                "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 600}],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
            },
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r-1",
        },
        {
            "input_tokens": 1120,
            "cached_input_tokens": 600,
            "input_audio_tokens": 92,
            "input_image_tokens": 278,
            "output_tokens": 340,
            "reasoning_tokens": 300,
            "output_audio_tokens": 30,
            "tool_calls": 1,
            "web_searches": 2,
            "model": "gemini-2.5-flash",
            "finish_reason": "STOP",
            "upstream_id": "r-1",
        },
    ),
    Payload(
        "gemini leaves zeros out: the budget went into thoughts",
        "gemini",
        GEMINI,
        {
            "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}],
            "usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 61, "totalTokenCount": 70},
            "modelVersion": "gemini-2.5-pro",
        },
        {
            "input_tokens": 9,
            "output_tokens": 61,
            "reasoning_tokens": 61,
            "model": "gemini-2.5-pro",
            "finish_reason": "MAX_TOKENS",
        },
    ),
    Payload(
        "gemini image",
        "gemini",
        "https://ai.google.dev/gemini-api/docs/image-generation",
        {
            "candidates": [
                {
                    "content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "..."}}]},
                    "finishReason": "STOP",
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 8,
                "candidatesTokenCount": 1290,
                "totalTokenCount": 1298,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
            },
        },
        {
            "input_tokens": 8,
            "output_tokens": 1290,
            "output_image_tokens": 1290,
            "images_out": 1,
            "finish_reason": "STOP",
        },
    ),
    Payload(
        "gemini live session",
        "gemini",
        "https://ai.google.dev/api/live#UsageMetadata",
        {
            "usageMetadata": {
                "promptTokenCount": 40,
                "responseTokenCount": 25,
                "totalTokenCount": 65,
                "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
            }
        },
        {"input_tokens": 40, "output_tokens": 25, "output_audio_tokens": 25},
    ),
    Payload(
        "gemini in openai's shape: thoughts are in the total alone",
        "gemini",
        "https://ai.google.dev/gemini-api/docs/openai",
        _chat({"completion_tokens": 102, "prompt_tokens": 758, "total_tokens": 1725}),
        {**CHAT, "input_tokens": 758, "output_tokens": 967, "reasoning_tokens": 865},
    ),
    Payload(
        "vertex gemini, provisioned",
        "vertex_ai",
        f"{VERTEX}/reference/rest/v1/GenerateContentResponse",
        {
            "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {
                "promptTokenCount": 7,
                "candidatesTokenCount": 3,
                "totalTokenCount": 10,
                "trafficType": "PROVISIONED_THROUGHPUT",
            },
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r-2",
        },
        {
            "input_tokens": 7,
            "output_tokens": 3,
            "service_tier": "provisioned_throughput",
            "model": "gemini-2.5-flash",
            "finish_reason": "STOP",
            "upstream_id": "r-2",
        },
    ),
    Payload(
        "vertex text embeddings",
        "vertex",
        f"{VERTEX}/model-reference/text-embeddings-api",
        {
            "predictions": [
                {"embeddings": {"statistics": {"truncated": False, "token_count": 6}, "values": [0.1]}},
                {"embeddings": {"statistics": {"truncated": False, "token_count": 4.0}, "values": [0.2]}},
            ]
        },
        {"input_tokens": 10},
    ),
    Payload(
        "vertex claude",
        "vertex",
        f"{VERTEX}/partner-models/claude/use-claude",
        {
            "id": "msg_vrtx_1",
            "type": "message",
            "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 11, "cache_read_input_tokens": 100, "output_tokens": 4},
        },
        {
            "input_tokens": 111,
            "cached_input_tokens": 100,
            "output_tokens": 4,
            "model": "claude-sonnet-4-5",
            "finish_reason": "end_turn",
            "upstream_id": "msg_vrtx_1",
        },
    ),
    Payload(
        "bedrock converse: input is without cache",
        "bedrock",
        BEDROCK,
        {
            "ResponseMetadata": {"RequestId": "req-1", "HTTPStatusCode": 200},
            "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}, {"toolUse": {"name": "now"}}]}},
            "stopReason": "tool_use",
            "usage": {
                "inputTokens": 30,
                "outputTokens": 628,
                "totalTokens": 658,
                "cacheReadInputTokens": 500,
                "cacheWriteInputTokens": 70,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 50}, {"ttl": "5m", "inputTokens": 20}],
            },
            "metrics": {"latencyMs": 1275},
            "serviceTier": {"type": "flex"},
        },
        {
            "input_tokens": 600,
            "cached_input_tokens": 500,
            "cache_write_tokens": 20,
            "cache_write_1h_tokens": 50,
            "output_tokens": 628,
            "tool_calls": 1,
            "finish_reason": "tool_use",
            "upstream_id": "req-1",
            "service_tier": "flex",
        },
    ),
    Payload(
        "bedrock stream metadata through a prompt router",
        "aws.bedrock",
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamMetadataEvent.html",
        {
            "metadata": {
                "usage": {"inputTokens": 47, "outputTokens": 20, "totalTokens": 67},
                "metrics": {"latencyMs": 100},
                "trace": {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::model/nova-lite"}},
            }
        },
        {"input_tokens": 47, "output_tokens": 20, "model": "arn:aws:bedrock:us-east-1::model/nova-lite"},
    ),
    Payload(
        "mistral chat",
        "mistral",
        "https://docs.mistral.ai/api/#tag/chat/operation/chat_completion_v1_chat_completions_post",
        _chat(
            {
                "prompt_tokens": 16,
                "completion_tokens": 34,
                "total_tokens": 50,
                "prompt_audio_seconds": {},
                "prompt_tokens_details": {"cached_tokens": 8},
            }
        ),
        {**CHAT, "input_tokens": 16, "cached_input_tokens": 8, "output_tokens": 34},
    ),
    Payload(
        "mistral conversation with a search connector",
        "mistral",
        "https://docs.mistral.ai/agents/connectors/websearch",
        {
            "conversation_id": "conv_1",
            "object": "conversation.response",
            "outputs": [
                {"type": "tool.execution", "name": "web_search"},
                {"type": "message.output", "model": "mistral-medium-2505", "content": "Hi"},
            ],
            "usage": {
                "prompt_tokens": 188,
                "completion_tokens": 55,
                "total_tokens": 7355,
                "connector_tokens": 7112,
                "connectors": {"web_search": 1},
            },
        },
        {
            "input_tokens": 7300,
            "output_tokens": 55,
            "tool_calls": 1,
            "web_searches": 1,
            "model": "mistral-medium-2505",
            "upstream_id": "conv_1",
        },
    ),
    Payload(
        "cohere chat: billed units, hits covering the template first",
        "cohere",
        f"{COHERE}/chat",
        {
            "id": "c14c80c3",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}], "tool_calls": TOOLS},
            "usage": {
                "billed_units": {"input_tokens": 20.0, "output_tokens": 418.0},
                "tokens": {"input_tokens": 71.0, "output_tokens": 420.0},
                "cached_tokens": 64.0,
            },
        },
        {
            "input_tokens": 20,
            "cached_input_tokens": 13,
            "output_tokens": 418,
            "tool_calls": 2,
            "finish_reason": "COMPLETE",
            "upstream_id": "c14c80c3",
        },
    ),
    Payload(
        "cohere embed of text and images",
        "cohere",
        f"{COHERE}/embed",
        {
            "id": "da6e531f",
            "embeddings": {"float": [[0.1]]},
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"images": 1, "image_tokens": 30, "text_tokens": 2},
            },
        },
        {"input_tokens": 32, "input_image_tokens": 30, "images_in": 1, "upstream_id": "da6e531f"},
    ),
    Payload(
        "cohere rerank",
        "cohere",
        f"{COHERE}/rerank",
        {
            "id": "07734bd2",
            "results": [{"index": 3, "relevance_score": 0.9}],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        },
        {"web_searches": 1, "upstream_id": "07734bd2"},
    ),
    Payload(
        "deepseek: cache hit and miss",
        "deepseek",
        "https://api-docs.deepseek.com/api/create-chat-completion",
        _chat(
            {
                "prompt_tokens": 160,
                "prompt_cache_hit_tokens": 128,
                "prompt_cache_miss_tokens": 32,
                "completion_tokens": 90,
                "total_tokens": 250,
                "completion_tokens_details": {"reasoning_tokens": 70},
            }
        ),
        {**CHAT, "input_tokens": 160, "cached_input_tokens": 128, "output_tokens": 90, "reasoning_tokens": 70},
    ),
    Payload(
        "moonshot chat",
        "kimi",
        "https://platform.moonshot.ai/docs/api/chat",
        _chat({"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40, "cached_tokens": 10}),
        {**CHAT, "input_tokens": 19, "cached_input_tokens": 10, "output_tokens": 21},
    ),
    Payload(
        "moonshot's last chunk",
        "moonshot",
        "https://platform.moonshot.ai/docs/api/chat",
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": "m-1",
            "choices": [
                {
                    "index": 0,
                    "delta": {},
                    "finish_reason": "stop",
                    "usage": {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32},
                }
            ],
        },
        {**CHAT, "input_tokens": 19, "output_tokens": 13},
    ),
    Payload(
        "zhipu chat",
        "z-ai",
        "https://docs.z.ai/api-reference/llm/chat-completion",
        _chat(
            {
                "prompt_tokens": 1200,
                "completion_tokens": 300,
                "total_tokens": 1500,
                "prompt_tokens_details": {"cached_tokens": 800},
            },
            request_id="2025",
        ),
        {**CHAT, "input_tokens": 1200, "cached_input_tokens": 800, "output_tokens": 300},
    ),
    Payload(
        "minimax chat",
        "minimax",
        "https://platform.minimax.io/docs/api-reference/text-post",
        _chat(
            {"total_tokens": 94, "total_characters": 0, "prompt_tokens": 75, "completion_tokens": 19},
            input_sensitive=False,
            base_resp={"status_code": 0, "status_msg": ""},
        ),
        {**CHAT, "input_tokens": 75, "output_tokens": 19},
    ),
    Payload(
        "minimax responses",
        "minimax",
        "https://platform.minimaxi.com/docs/api-reference/responses-create",
        {
            "id": "abc123",
            "object": "response",
            "model": "MiniMax-M3",
            "status": "completed",
            "output": [{"id": "abc123_msg", "type": "message"}],
            "usage": {
                "input_tokens": 8,
                "input_tokens_details": {"cached_tokens": 2},
                "output_tokens": 18,
                "output_tokens_details": {"reasoning_tokens": 5},
                "total_tokens": 26,
            },
        },
        {
            "input_tokens": 8,
            "cached_input_tokens": 2,
            "output_tokens": 18,
            "reasoning_tokens": 5,
            "model": "MiniMax-M3",
            "finish_reason": "completed",
            "upstream_id": "abc123",
        },
    ),
    Payload(
        "dashscope native, multimodal, with an explicit cache and a search",
        "dashscope",
        f"{ALIBABA}/qwen-api-via-dashscope",
        {
            "status_code": 200,
            "request_id": "902fee3b",
            "code": "",
            "message": "",
            "output": {
                "text": None,
                "finish_reason": None,
                "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
            },
            "usage": {
                "input_tokens": 1500,
                "output_tokens": 60,
                "total_tokens": 1560,
                "prompt_tokens_details": {
                    "cached_tokens": 100,
                    "cache_creation_input_tokens": 1200,
                    "cache_creation": {"ephemeral_5m_input_tokens": 1200},
                },
                "input_tokens_details": {"text_tokens": 1250, "image_tokens": 250},
                "output_tokens_details": {"text_tokens": 20, "reasoning_tokens": 40},
                "plugins": {"search": {"count": 1, "strategy": "turbo"}},
            },
        },
        {
            "input_tokens": 1500,
            "cached_input_tokens": 100,
            "cache_write_tokens": 1200,
            "input_image_tokens": 250,
            "output_tokens": 60,
            "reasoning_tokens": 40,
            "web_searches": 1,
            "finish_reason": "stop",
            "upstream_id": "902fee3b",
        },
    ),
    Payload(
        "dashscope native, older multimodal model",
        "qwen",
        f"{ALIBABA}/qwen-api-via-dashscope",
        {
            "request_id": "ccf845a3",
            "output": {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": []}}]},
            "usage": {"input_tokens": 1277, "output_tokens": 81, "image_tokens": 1247, "total_tokens": 1358},
        },
        {
            "input_tokens": 1277,
            "input_image_tokens": 1247,
            "output_tokens": 81,
            "finish_reason": "stop",
            "upstream_id": "ccf845a3",
        },
    ),
    Payload(
        "dashscope embedding",
        "dashscope",
        f"{ALIBABA}/text-embedding-synchronous-api",
        {
            "request_id": "1ba94ac8",
            "output": {"embeddings": [{"text_index": 0, "embedding": [0.1]}]},
            "usage": {"total_tokens": 26},
        },
        {"input_tokens": 26, "upstream_id": "1ba94ac8"},
    ),
    Payload(
        "dashscope compatible",
        "dashscope",
        f"{ALIBABA}/context-cache",
        _chat(
            {
                "prompt_tokens": 1222,
                "completion_tokens": 15,
                "total_tokens": 1237,
                "prompt_tokens_details": {
                    "cached_tokens": 0,
                    "cache_creation_input_tokens": 1211,
                    "cache_creation": {"ephemeral_5m_input_tokens": 1211},
                    "cache_type": "ephemeral",
                },
            }
        ),
        {**CHAT, "input_tokens": 1222, "cache_write_tokens": 1211, "output_tokens": 15},
    ),
    Payload(
        "openrouter on its own credit",
        "openrouter",
        "https://openrouter.ai/docs/use-cases/usage-accounting",
        _chat(
            {
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": 1},
                "cost": 0.00014250000000000002,
                "cost_details": {"upstream_inference_cost": 0.0001425},
                "is_byok": False,
                "prompt_tokens": 194,
                "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 100, "audio_tokens": 5},
                "total_tokens": 196,
            },
            provider="Anthropic",
        ),
        {
            **CHAT,
            "input_tokens": 194,
            "cached_input_tokens": 10,
            "cache_write_tokens": 100,
            "input_audio_tokens": 5,
            "output_tokens": 2,
            "reasoning_tokens": 1,
            "provider": "Anthropic",
            "reported_cost": Decimal("0.000142500000"),
        },
    ),
    Payload(
        "openrouter on the caller's key",
        "openrouter",
        "https://openrouter.ai/docs/use-cases/byok",
        _chat(
            {
                "completion_tokens": 20,
                "cost": 0.95,
                "cost_details": {
                    "upstream_inference_cost": 19,
                    "upstream_inference_prompt_cost": 12,
                    "upstream_inference_completions_cost": 7,
                },
                "is_byok": True,
                "prompt_tokens": 300,
                "prompt_tokens_details": {"cache_write_tokens": 150},
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 50},
                "server_tool_use": {"web_search_requests": 2},
                "total_tokens": 320,
            },
            provider="Amazon Bedrock",
        ),
        {
            **CHAT,
            "input_tokens": 300,
            "cache_write_tokens": 100,
            "cache_write_1h_tokens": 50,
            "output_tokens": 20,
            "web_searches": 2,
            "provider": "Amazon Bedrock",
            "byok": True,
            "reported_cost": Decimal("19.95"),
        },
    ),
    Payload(
        "vllm without token details",
        "vllm",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        _chat(
            {"prompt_tokens": 21, "total_tokens": 121, "completion_tokens": 100, "prompt_tokens_details": None},
            prompt_logprobs=None,
            kv_transfer_params=None,
        ),
        {**CHAT, "input_tokens": 21, "output_tokens": 100},
    ),
    Payload(
        "litellm's form of an anthropic answer",
        "litellm",
        "https://docs.litellm.ai/docs/completion/prompt_caching",
        _chat(
            {
                "prompt_tokens": 1085,
                "completion_tokens": 503,
                "total_tokens": 1588,
                "completion_tokens_details": {"reasoning_tokens": 100, "text_tokens": 403},
                "prompt_tokens_details": {
                    "cached_tokens": 1000,
                    "cache_creation_tokens": 60,
                    "cache_creation_token_details": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
                },
                "cache_creation_input_tokens": 60,
                "cache_read_input_tokens": 1000,
                "server_tool_use": {"web_search_requests": 3},
            }
        ),
        {
            **CHAT,
            "input_tokens": 1085,
            "cached_input_tokens": 1000,
            "cache_write_tokens": 20,
            "cache_write_1h_tokens": 40,
            "output_tokens": 503,
            "reasoning_tokens": 100,
            "web_searches": 3,
        },
    ),
    Payload(
        "opentelemetry span",
        "opentelemetry",
        "https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": "gpt-5",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_creation.input_tokens": 25,
            "gen_ai.usage.output_tokens": 180,
            "gen_ai.usage.reasoning.output_tokens": 60,
        },
        {
            "input_tokens": 100,
            "cached_input_tokens": 50,
            "cache_write_tokens": 25,
            "output_tokens": 180,
            "reasoning_tokens": 60,
            "model": "gpt-5",
            "finish_reason": "stop",
            "upstream_id": "chatcmpl-1",
        },
    ),
    Payload(
        "ollama chat",
        "ollama",
        "https://docs.ollama.com/api/chat",
        {
            "model": "llama3.2",
            "created_at": "2023-12-12T14:13:43.416799Z",
            "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "now"}}]},
            "done_reason": "stop",
            "done": True,
            "total_duration": 5_191_566_416,
            "prompt_eval_count": 26,
            "eval_count": 298,
        },
        {
            "input_tokens": 26,
            "output_tokens": 298,
            "tool_calls": 1,
            "model": "llama3.2",
            "finish_reason": "stop",
        },
    ),
    Payload(
        "ollama embedding",
        "ollama",
        "https://docs.ollama.com/api/embed",
        {"model": "all-minilm", "embeddings": [[0.1]], "total_duration": 14_143_917, "prompt_eval_count": 8},
        {"input_tokens": 8, "model": "all-minilm"},
    ),
)


def _piece(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        "usage": None,
        **more,
    }


def _call(index: int, **function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": function}]}


STREAMS: tuple[Stream, ...] = (
    Stream(
        "openai chat: usage comes last, in a chunk without choices",
        "openai",
        f"{OPENAI}/chat-streaming",
        [
            _piece({"role": "assistant", "content": ""}),
            _piece(_call(0, name="now", arguments="")),
            _piece(_call(0, arguments="{}")),
            _piece(_call(1, name="here", arguments="{}")),
            _piece({}, "tool_calls"),
            _piece({}, choices=[], usage={"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}),
        ],
        {**CHAT, "finish_reason": "tool_calls", "input_tokens": 12, "output_tokens": 5, "tool_calls": 2},
        cut=5,
    ),
    Stream(
        "vllm: running totals with every chunk",
        "vllm",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        [
            _piece({"content": "a"}, usage={"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13}),
            _piece({"content": "b"}, usage={"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}),
            _piece({"content": "c"}, "stop", usage={"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}),
        ],
        {**CHAT, "input_tokens": 12, "output_tokens": 3},
        so_far={"model": "m-1", "upstream_id": "chatcmpl-1", "input_tokens": 12, "output_tokens": 2},
    ),
    Stream(
        "openai responses",
        "openai",
        f"{OPENAI}/responses-streaming",
        [
            {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5", "status": "in_progress"}},
            {"type": "response.output_text.delta", "delta": "Hi"},
            {
                "type": "response.completed",
                "response": {
                    "id": "resp_1",
                    "object": "response",
                    "model": "gpt-5",
                    "status": "completed",
                    "output": [{"type": "web_search_call"}, {"type": "message"}],
                    "usage": {
                        "input_tokens": 37,
                        "input_tokens_details": {"cached_tokens": 0},
                        "output_tokens": 11,
                        "output_tokens_details": {"reasoning_tokens": 0},
                        "total_tokens": 48,
                    },
                },
            },
        ],
        {
            "input_tokens": 37,
            "output_tokens": 11,
            "tool_calls": 1,
            "web_searches": 1,
            "model": "gpt-5",
            "finish_reason": "completed",
            "upstream_id": "resp_1",
        },
    ),
    Stream(
        "openai transcription",
        "openai",
        f"{OPENAI}/audio/transcript-text-done-event",
        [
            {"type": "transcript.text.delta", "delta": "I"},
            {"type": "transcript.text.delta", "delta": " see"},
            {
                "type": "transcript.text.done",
                "text": "I see",
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                    "output_tokens": 45,
                    "total_tokens": 59,
                },
            },
        ],
        {"input_tokens": 14, "input_audio_tokens": 14, "output_tokens": 45},
    ),
    Stream(
        "openai image",
        "openai",
        f"{OPENAI}/images-streaming",
        [
            {"type": "image_generation.partial_image", "b64_json": "..."},
            {"type": "image_generation.partial_image", "b64_json": "..."},
            {
                "type": "image_generation.completed",
                "b64_json": "...",
                "usage": {
                    "total_tokens": 100,
                    "input_tokens": 50,
                    "output_tokens": 50,
                    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                },
            },
        ],
        {
            "input_tokens": 50,
            "input_image_tokens": 40,
            "output_tokens": 50,
            "output_image_tokens": 50,
            "images_out": 1,
        },
    ),
    Stream(
        "anthropic: input comes first, output grows",
        "anthropic",
        "https://docs.anthropic.com/en/docs/build-with-claude/streaming",
        [
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1",
                    "type": "message",
                    "model": "claude-sonnet-4-5",
                    "content": [],
                    "stop_reason": None,
                    "usage": {
                        "input_tokens": 25,
                        "cache_read_input_tokens": 1000,
                        "cache_creation_input_tokens": 60,
                        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
                        "output_tokens": 1,
                        "service_tier": "standard",
                    },
                },
            },
            {"type": "ping"},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "now"}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                "usage": {"output_tokens": 89, "cache_creation_input_tokens": 65, "input_tokens": None},
            },
            {"type": "message_stop"},
        ],
        {
            "input_tokens": 1090,
            "cached_input_tokens": 1000,
            "cache_write_tokens": 25,
            "cache_write_1h_tokens": 40,
            "output_tokens": 89,
            "tool_calls": 1,
            "model": "claude-sonnet-4-5",
            "finish_reason": "tool_use",
            "upstream_id": "msg_1",
            "service_tier": "standard",
        },
        cut=4,
        so_far={
            "input_tokens": 1085,
            "cached_input_tokens": 1000,
            "cache_write_tokens": 20,
            "cache_write_1h_tokens": 40,
            "output_tokens": 1,
            "model": "claude-sonnet-4-5",
            "upstream_id": "msg_1",
            "service_tier": "standard",
        },
    ),
    Stream(
        "gemini: running totals",
        "gemini",
        "https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent",
        [
            {
                "candidates": [{"content": {"parts": [{"functionCall": {"name": "now"}}]}}],
                "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 2, "totalTokenCount": 10},
                "modelVersion": "gemini-2.5-flash",
                "responseId": "r-1",
            },
            {
                "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 6, "totalTokenCount": 14},
                "modelVersion": "gemini-2.5-flash",
                "responseId": "r-1",
            },
        ],
        {
            "input_tokens": 8,
            "output_tokens": 6,
            "tool_calls": 1,
            "model": "gemini-2.5-flash",
            "finish_reason": "STOP",
            "upstream_id": "r-1",
        },
        cut=1,
        so_far={
            "input_tokens": 8,
            "output_tokens": 2,
            "tool_calls": 1,
            "model": "gemini-2.5-flash",
            "upstream_id": "r-1",
        },
    ),
    Stream(
        "bedrock converse stream",
        "bedrock",
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html",
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": "now"}}, "contentBlockIndex": 0}},
            {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "tool_use"}},
            {
                "metadata": {
                    "usage": {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14, "cacheReadInputTokens": 40},
                    "metrics": {"latencyMs": 1},
                }
            },
        ],
        {
            "input_tokens": 45,
            "cached_input_tokens": 40,
            "output_tokens": 9,
            "tool_calls": 1,
            "finish_reason": "tool_use",
        },
    ),
    Stream(
        "mistral: the python client wraps chunks in data",
        "mistral",
        "https://docs.mistral.ai/capabilities/completion/usage#streaming",
        [
            {"data": _piece({"content": "a"})},
            {"data": _piece({"content": "b"})},
            {
                "data": _piece(
                    {"content": ""}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
                )
            },
        ],
        {**CHAT, "input_tokens": 9, "output_tokens": 2},
    ),
    Stream(
        "cohere v2",
        "cohere",
        f"{COHERE}/chat-stream",
        [
            {"id": "29f14a5a", "type": "message-start", "delta": {"message": {"role": "assistant"}}},
            {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"id": "1"}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hi"}}}},
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "COMPLETE",
                    "usage": {
                        "billed_units": {"input_tokens": 17, "output_tokens": 12},
                        "tokens": {"input_tokens": 215, "output_tokens": 12},
                    },
                },
            },
        ],
        {
            "input_tokens": 17,
            "output_tokens": 12,
            "tool_calls": 1,
            "finish_reason": "COMPLETE",
            "upstream_id": "29f14a5a",
        },
    ),
    Stream(
        "moonshot: usage in the last choice",
        "moonshot",
        "https://platform.moonshot.ai/docs/api/chat",
        [
            _piece({"content": "a"}),
            _piece({"content": "b"}),
            {
                "id": "chatcmpl-1",
                "model": "m-1",
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 8},
                    }
                ],
            },
        ],
        {**CHAT, "input_tokens": 19, "cached_input_tokens": 8, "output_tokens": 13},
    ),
    Stream(
        "dashscope native: running totals",
        "dashscope",
        f"{ALIBABA}/qwen-api-via-dashscope",
        [
            {
                "request_id": "902fee3b",
                "output": {"choices": [{"finish_reason": "null", "message": {"content": "a"}}]},
                "usage": {"input_tokens": 26, "output_tokens": 1, "total_tokens": 27},
            },
            {
                "request_id": "902fee3b",
                "output": {"choices": [{"finish_reason": "stop", "message": {"content": "b", "tool_calls": [{}]}}]},
                "usage": {"input_tokens": 26, "output_tokens": 66, "total_tokens": 92},
            },
        ],
        {
            "input_tokens": 26,
            "output_tokens": 66,
            "tool_calls": 1,
            "finish_reason": "stop",
            "upstream_id": "902fee3b",
        },
        cut=1,
        so_far={"input_tokens": 26, "output_tokens": 1, "upstream_id": "902fee3b"},
    ),
    Stream(
        "openrouter",
        "openrouter",
        "https://openrouter.ai/docs/use-cases/usage-accounting",
        [
            _piece({"content": "a"}, provider="DeepInfra"),
            _piece({"content": ""}, "stop", provider="DeepInfra"),
            _piece(
                {"content": ""},
                provider="DeepInfra",
                usage={
                    "prompt_tokens": 10,
                    "completion_tokens": 2,
                    "total_tokens": 12,
                    "cost": 1e-6,
                    "is_byok": False,
                    "cost_details": {"upstream_inference_cost": None},
                },
            ),
        ],
        {
            **CHAT,
            "input_tokens": 10,
            "output_tokens": 2,
            "provider": "DeepInfra",
            "reported_cost": Decimal("0.000001"),
        },
    ),
    Stream(
        "ollama",
        "ollama",
        "https://docs.ollama.com/api/chat",
        [
            {"model": "llama3.2", "message": {"role": "assistant", "content": "The"}, "done": False},
            {"model": "llama3.2", "message": {"role": "assistant", "tool_calls": [{}]}, "done": False},
            {
                "model": "llama3.2",
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": "stop",
                "prompt_eval_count": 26,
                "eval_count": 282,
            },
        ],
        {
            "input_tokens": 26,
            "output_tokens": 282,
            "tool_calls": 1,
            "model": "llama3.2",
            "finish_reason": "stop",
        },
    ),
)
