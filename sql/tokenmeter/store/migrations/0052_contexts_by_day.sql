-- How long prompts are and what kinds of calls there are, by day and model.
-- Absolute, never added to; see remake_contexts_by_day.sql.
CREATE TABLE IF NOT EXISTS tokenmeter.contexts_by_day
(
    day           Date COMMENT 'UTC day in which the calls ended',
    context_bucket LowCardinality(String) COMMENT 'Range of the call''s input tokens',
    operation     LowCardinality(String) COMMENT 'Chat, embedding, image and so on',
    model         LowCardinality(String) COMMENT 'The model that served, author/slug',
    events        Int64 COMMENT 'Model calls; corrections included with the number they say',
    errors        Int64 COMMENT 'Calls with status 400 or above, or with an error class',
    input_tokens  Int64 COMMENT 'Prompt tokens, cached and cache-write ones included',
    output_tokens Int64 COMMENT 'Completion tokens, reasoning included',
    tool_calls    Int64 COMMENT 'Tools the model called',
    version       UInt64 COMMENT 'Of two remakes of a group the later counts',
    gone          UInt8 COMMENT '1: no line has this group any more; FINAL leaves it out'
)
ENGINE = ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(day)
ORDER BY (day, model, context_bucket, operation)
COMMENT 'Totals of usage_market by day, range of input tokens, operation and model, kept for ever; read it FINAL'
