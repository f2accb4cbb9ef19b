-- What each customer used and owes by day, project, key, model and currencies.
-- Absolute, never added to: made anew from
-- the lines of its day when one of them arrives; see remake_billing_daily.sql.
CREATE TABLE IF NOT EXISTS tokenmeter.billing_daily
(
    day                   Date COMMENT 'UTC day in which the calls ended',
    customer_id           String COMMENT 'Who made the calls',
    project_id            Nullable(String) COMMENT 'The customer''s project',
    api_key_id            Nullable(String) COMMENT 'The key the calls were made with',
    model                 LowCardinality(String) COMMENT 'The model that served, author/slug',
    currency              LowCardinality(Nullable(String)) COMMENT 'Currency of the charge, ISO 4217 or a token''s name',
    cost_currency         LowCardinality(Nullable(String)) COMMENT 'Currency of the cost',
    events                Int64 COMMENT 'Model calls; corrections included with the number they say',
    errors                Int64 COMMENT 'Calls with status 400 or above, or with an error class',
    unpriced              Int64 COMMENT 'Calls without a charge',
    uncosted              Int64 COMMENT 'Calls without a cost',
    provisional           Int64 COMMENT 'Calls charged by a stand-in price, to be re-rated',
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
    reported_calls        Int64 COMMENT 'Calls whose upstream reported a cost of its own',
    reported_cost         Nullable(Decimal(38, 12)) COMMENT 'The upstream''s own figures, added up',
    charge                Nullable(Decimal(38, 12)) COMMENT 'What is owed for the priced calls, in currency; null when none is priced, never 0 for want of a price',
    cost                  Nullable(Decimal(38, 12)) COMMENT 'What the upstream charges for the calls with a cost price, in cost_currency; null when there is none',
    version               UInt64 COMMENT 'Of two remakes of a group the later counts',
    gone                  UInt8 COMMENT '1: no line has this group any more; FINAL leaves it out'
)
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(day)
ORDER BY (day, customer_id, project_id, api_key_id, model, currency, cost_currency)
SETTINGS allow_nullable_key = 1
COMMENT 'Totals of usage_billing by day, customer, project, key and model, kept for ever; read it FINAL'
