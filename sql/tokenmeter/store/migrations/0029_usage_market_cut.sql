-- A board asks for a range of time and reads only its hours. A page loaded twice carries the same hour in each line, so
-- it is there once, as before. Kept 90 days beyond the 35 an event may be late.
CREATE TABLE IF NOT EXISTS tokenmeter.usage_market
(
    partition             Int32 COMMENT 'Partition of usage.events',
    first_offset          Int64 COMMENT 'The page, named by its first offset on that partition',
    line                  Int32 COMMENT 'Number of the line in its page, from 0',
    model                 LowCardinality(String) COMMENT 'The model that served, author/slug',
    provider              LowCardinality(String) COMMENT 'Who served the model',
    app_id                LowCardinality(Nullable(String)) COMMENT 'The application that made the calls',
    variant               LowCardinality(String) COMMENT 'standard, free, batch, thinking and so on',
    operation             LowCardinality(String) COMMENT 'Chat, embedding, image and so on',
    country               LowCardinality(Nullable(String)) COMMENT 'Billing country, ISO 3166 alpha-2',
    context_bucket        LowCardinality(String) COMMENT 'Range of the call''s input tokens',
    occurred_hour         DateTime64(6, 'UTC') COMMENT 'UTC hour in which the calls ended',
    currency              LowCardinality(Nullable(String)) COMMENT 'Currency of the charge, ISO 4217 or a token''s name',
    cost_currency         LowCardinality(Nullable(String)) COMMENT 'Currency of the cost',
    events                Int64 COMMENT 'Model calls; a correction counts as many as it says',
    errors                Int64 COMMENT 'Calls with status 400 or above, or with an error class',
    rate_limited          Int64 COMMENT 'Of the errors, those with status 429',
    streamed              Int64 COMMENT 'Calls whose answer was streamed',
    cancelled             Int64 COMMENT 'Calls whose caller hung up',
    byok                  Int64 COMMENT 'Calls with the caller''s own key',
    unpriced              Int64 COMMENT 'Calls without a charge',
    uncosted              Int64 COMMENT 'Calls without a cost',
    latency_calls         Int64 COMMENT 'Calls with a known time to the first token',
    latency_sum_ms        Int64 COMMENT 'Their times to the first token, added up',
    generation_calls      Int64 COMMENT 'Calls with a known time from first to last token',
    generation_sum_ms     Int64 COMMENT 'Those times, added up',
    generation_tokens     Int64 COMMENT 'Output tokens of those calls',
    input_tokens          Int64 COMMENT 'Prompt tokens, cached and cache-write ones included',
    cached_input_tokens   Int64 COMMENT 'Of the input: read from a cache',
    cache_write_tokens    Int64 COMMENT 'Of the input: written to a cache',
    cache_write_1h_tokens Int64 COMMENT 'Of the input: written to a cache for an hour',
    input_audio_tokens    Int64 COMMENT 'Of the input: audio',
    input_image_tokens    Int64 COMMENT 'Of the input: images',
    output_tokens         Int64 COMMENT 'Completion tokens, reasoning included',
    reasoning_tokens      Int64 COMMENT 'Of the output: reasoning',
    output_audio_tokens   Int64 COMMENT 'Of the output: audio',
    output_image_tokens   Int64 COMMENT 'Of the output: images',
    images_in             Int64 COMMENT 'Images sent',
    images_out            Int64 COMMENT 'Images made',
    video_seconds         Int64 COMMENT 'Seconds of video made',
    tool_calls            Int64 COMMENT 'Tools the model called',
    tool_call_errors      Int64 COMMENT 'Tool calls that were malformed',
    web_searches          Int64 COMMENT 'Web searches made for the call',
    charge                Nullable(Decimal(38, 12)) COMMENT 'What is owed for the priced calls, in currency; null when none is priced, never 0 for want of a price',
    cost                  Nullable(Decimal(38, 12)) COMMENT 'What the upstream charges for the calls with a cost price, in cost_currency; null when there is none',
    INDEX pages (partition, first_offset) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_hour)
ORDER BY (occurred_hour, partition, first_offset, line)
TTL toDateTime(occurred_hour) + INTERVAL 126 DAY
COMMENT 'What the market used, a line per page, key and hour, naming no customer; read it FINAL'
