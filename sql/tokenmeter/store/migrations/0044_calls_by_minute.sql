-- Calls by minute, model and provider.
-- Absolute, never added to: made anew from
-- the raw events of its minute when one of them arrives; see remake_calls_by_minute.sql.
CREATE TABLE IF NOT EXISTS tokenmeter.calls_by_minute
(
    minute            DateTime('UTC') COMMENT 'UTC minute in which the calls ended',
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
    version           UInt64 COMMENT 'Of two remakes of a group the later counts',
    gone              UInt8 COMMENT '1: no line has this group any more; FINAL leaves it out'
)
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMMDD(minute)
ORDER BY (minute, model, provider)
TTL minute + INTERVAL 126 DAY
COMMENT 'Totals of usage_events by minute, model and provider, kept 126 days; read it FINAL'
