-- What each account above the customers owes for their calls, keyed by page and line as usage_billing is.
CREATE TABLE IF NOT EXISTS tokenmeter.usage_resale
(
    partition             Int32,
    first_offset          Int64,
    line                  Int32,
    account_id            String,
    seller_id             Nullable(String),
    level                 Int32,
    customer_id           String,
    model                 LowCardinality(String),
    variant               LowCardinality(String),
    service_tier          LowCardinality(Nullable(String)),
    provider              LowCardinality(String),
    price_id              Nullable(String),
    currency              LowCardinality(Nullable(String)),
    provisional           Bool,
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
    charge                Nullable(Decimal(38, 12))
)
ENGINE = ReplacingMergeTree
ORDER BY (partition, first_offset, line)
TTL toDateTime(occurred_hour) + INTERVAL 126 DAY
