-- The market by hour, model, provider, variant and currencies.
-- Absolute, never added to: made anew from
-- the lines of its hour when one of them arrives; see remake_market_hourly.sql.
CREATE TABLE IF NOT EXISTS tokenmeter.market_hourly
(
    occurred_hour         DateTime('UTC') COMMENT 'UTC hour in which the calls ended',
    model                 LowCardinality(String) COMMENT 'The model that served, author/slug',
    provider              LowCardinality(String) COMMENT 'Who served the model',
    variant               LowCardinality(String) COMMENT 'standard, free, batch, thinking and so on',
    currency              LowCardinality(Nullable(String)) COMMENT 'Currency of the charge, ISO 4217 or a token''s name',
    cost_currency         LowCardinality(Nullable(String)) COMMENT 'Currency of the cost',
    events                Int64 COMMENT 'Model calls; corrections included with the number they say',
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
    version               UInt64 COMMENT 'Of two remakes of a group the later counts',
    gone                  UInt8 COMMENT '1: no line has this group any more; FINAL leaves it out'
)
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(occurred_hour)
ORDER BY (occurred_hour, model, provider, variant, currency, cost_currency)
SETTINGS allow_nullable_key = 1
COMMENT 'Totals of usage_market by hour, model, provider and variant, kept for ever; read it FINAL'
