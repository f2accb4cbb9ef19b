-- Billing lines, keyed by page and line: loading a page twice leaves what loading it once leaves.
-- Kept 90 days beyond the 35 an event may be late, since lines carry no time of their own but the hour of the calls.
CREATE TABLE IF NOT EXISTS tokenmeter.usage_billing
(
    partition             Int32,
    first_offset          Int64,
    line                  Int32,
    customer_id           String,
    project_id            Nullable(String),
    api_key_id            Nullable(String),
    model                 LowCardinality(String),
    variant               LowCardinality(String),
    service_tier          LowCardinality(Nullable(String)),
    provider              LowCardinality(String),
    price_id              Nullable(String),
    occurred_hour         DateTime64(6, 'UTC'),
    events                Int64,
    errors                Int64,
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
