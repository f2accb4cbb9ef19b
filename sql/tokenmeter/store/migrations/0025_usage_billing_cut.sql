-- A board asks for a range of time and reads only its hours. A page loaded twice carries the same hour in each line, so
-- it is there once, as before. Kept 90 days beyond the 35 an event may be late.
CREATE TABLE IF NOT EXISTS tokenmeter.usage_billing
(
    partition             Int32 COMMENT 'Partition of usage.events',
    first_offset          Int64 COMMENT 'The page, named by its first offset on that partition',
    line                  Int32 COMMENT 'Number of the line in its page, from 0',
    customer_id           String COMMENT 'Who made the calls',
    project_id            Nullable(String) COMMENT 'The customer''s project',
    api_key_id            Nullable(String) COMMENT 'The key the calls were made with',
    model                 LowCardinality(String) COMMENT 'The model that served, author/slug',
    variant               LowCardinality(String) COMMENT 'standard, free, batch, thinking and so on',
    service_tier          LowCardinality(Nullable(String)) COMMENT 'The provider''s service tier',
    provider              LowCardinality(String) COMMENT 'Who served the model',
    price_id              Nullable(String) COMMENT 'What the charge was made with; null: unpriced',
    cost_price_id         Nullable(String) COMMENT 'What the cost was made with; null: no cost price is known',
    plan_id               LowCardinality(Nullable(String)) COMMENT 'The customer''s plan',
    chain                 Nullable(String) COMMENT 'Each level above the customer, nearest first, and the price id it pays',
    currency              LowCardinality(Nullable(String)) COMMENT 'Currency of the charge, ISO 4217 or a token''s name',
    cost_currency         LowCardinality(Nullable(String)) COMMENT 'Currency of the cost',
    provisional           Bool COMMENT 'Whether charged by a stand-in price, to be re-rated',
    occurred_hour         DateTime64(6, 'UTC') COMMENT 'UTC hour in which the calls ended',
    events                Int64 COMMENT 'Model calls; a correction counts as many as it says',
    errors                Int64 COMMENT 'Calls with status 400 or above, or with an error class',
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
    tokens_squared        Nullable(Decimal(38, 0)) COMMENT 'Sum over the calls of (input + output tokens) squared, for their spread',
    reported_calls        Int64 COMMENT 'Calls whose upstream reported a cost of its own',
    charge                Nullable(Decimal(38, 12)) COMMENT 'What is owed for the priced calls, in currency; null when none is priced, never 0 for want of a price',
    cost                  Nullable(Decimal(38, 12)) COMMENT 'What the upstream charges for the calls with a cost price, in cost_currency; null when there is none',
    reported_cost         Nullable(Decimal(38, 12)) COMMENT 'The upstream''s own figures, added up',
    reported_calls_cost   Nullable(Decimal(38, 12)) COMMENT 'Our cost of the calls whose upstream reported one; null when one of them has no cost price',
    INDEX pages (partition, first_offset) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_hour)
ORDER BY (occurred_hour, partition, first_offset, line)
TTL toDateTime(occurred_hour) + INTERVAL 126 DAY
COMMENT 'What each customer used and owes, a line per page, key and hour; read it FINAL'
