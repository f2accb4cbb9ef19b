-- Applications by day, whatever the model: at a thousand of each, app_daily has a hundred times its rows.
-- Absolute, never added to; see remake_apps_by_day.sql.
CREATE TABLE IF NOT EXISTS tokenmeter.apps_by_day
(
    day           Date COMMENT 'UTC day in which the calls ended',
    app_id        LowCardinality(Nullable(String)) COMMENT 'The application that made the calls',
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
ORDER BY (day, app_id)
SETTINGS allow_nullable_key = 1
COMMENT 'Totals of app_daily by day and application, kept for ever; read it FINAL'
