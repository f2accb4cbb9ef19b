-- Calls by hour, model and provider: percentiles of a week are read from its hours, not from its calls or minutes.
-- Absolute, never added to: made anew from the minutes of its hour; see remake_calls_by_hour.sql.
CREATE TABLE IF NOT EXISTS tokenmeter.calls_by_hour
(
    hour              DateTime('UTC') COMMENT 'UTC hour in which the calls ended',
    model             LowCardinality(String) COMMENT 'The model that served, author/slug',
    provider          LowCardinality(String) COMMENT 'Who served the model',
    calls             Int64 COMMENT 'Model calls; a correction is none',
    errors            Int64 COMMENT 'Calls with status 400 or above, or with an error class',
    rate_limited      Int64 COMMENT 'Of the errors, those with status 429',
    streamed          Int64 COMMENT 'Calls whose answer was streamed',
    cancelled         Int64 COMMENT 'Calls whose caller hung up',
    input_tokens      Int64 COMMENT 'Prompt tokens, cached and cache-write ones included',
    output_tokens     Int64 COMMENT 'Completion tokens, reasoning included',
    latency_calls     Int64 COMMENT 'Calls with a known time to the first token',
    latency_sum_ms    Int64 COMMENT 'Their times to the first token, added up',
    generation_calls  Int64 COMMENT 'Calls with a known time from first to last token',
    generation_sum_ms Int64 COMMENT 'Those times, added up',
    generation_tokens Int64 COMMENT 'Output tokens of those calls',
    latency_states    AggregateFunction(quantilesBFloat16(0.5, 0.9, 0.99), Int32) COMMENT 'Quantiles of the time to the first token in ms, to be read with quantilesBFloat16Merge(0.5, 0.9, 0.99)',
    throughput_states AggregateFunction(quantilesBFloat16(0.5, 0.9, 0.99), Float64) COMMENT 'Quantiles of output tokens a second from first to last token, to be read with quantilesBFloat16Merge(0.5, 0.9, 0.99)',
    byok              Int64 COMMENT 'Calls with the caller''s own key',
    with_tools        Int64 COMMENT 'Calls in which the model called a tool',
    input_states      AggregateFunction(quantilesBFloat16(0.5, 0.9, 0.99), Int64) COMMENT 'Quantiles of a call''s input tokens, to be read with quantilesBFloat16Merge(0.5, 0.9, 0.99)',
    output_states     AggregateFunction(quantilesBFloat16(0.5, 0.9, 0.99), Int64) COMMENT 'Quantiles of a call''s output tokens, to be read likewise',
    version           UInt64 COMMENT 'Of two remakes of a group the later counts',
    gone              UInt8 COMMENT '1: no line has this group any more; FINAL leaves it out'
)
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, model, provider)
TTL hour + INTERVAL 126 DAY
COMMENT 'Totals of calls_by_minute by hour, model and provider, kept 126 days; read it FINAL'
