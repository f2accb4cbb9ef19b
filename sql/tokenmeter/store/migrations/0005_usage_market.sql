-- Market lines, keyed by page and line; they name no customer.
CREATE TABLE IF NOT EXISTS tokenmeter.usage_market
(
    partition             Int32,
    first_offset          Int64,
    line                  Int32,
    model                 LowCardinality(String),
    provider              LowCardinality(String),
    app_id                LowCardinality(Nullable(String)),
    variant               LowCardinality(String),
    operation             LowCardinality(String),
    country               LowCardinality(Nullable(String)),
    context_bucket        LowCardinality(String),
    occurred_hour         DateTime64(6, 'UTC'),
    events                Int64,
    errors                Int64,
    rate_limited          Int64,
    streamed              Int64,
    cancelled             Int64,
    byok                  Int64,
    input_tokens          Int64,
    cached_input_tokens   Int64,
    cache_write_tokens    Int64,
    cache_write_1h_tokens Int64,
    input_audio_tokens    Int64,
    input_image_tokens    Int64,
    output_tokens         Int64,
    reasoning_tokens      Int64,
    output_audio_tokens   Int64,
    output_image_tokens   Int64,
    images_in             Int64,
    images_out            Int64,
    video_seconds         Int64,
    tool_calls            Int64,
    tool_call_errors      Int64,
    web_searches          Int64,
    charge                Nullable(Decimal(38, 12)),
    cost                  Nullable(Decimal(38, 12))
)
ENGINE = ReplacingMergeTree
ORDER BY (partition, first_offset, line)
TTL toDateTime(occurred_hour) + INTERVAL 126 DAY
