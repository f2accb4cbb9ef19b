-- An anomaly carries the band of its subject's habit, hour by hour, as the watch knew it when it told. Alerts from before have none.
ALTER TABLE tokenmeter.alerts
    ADD COLUMN IF NOT EXISTS band_begins_at Nullable(DateTime64(6, 'UTC')) COMMENT 'Of an anomaly: hour of the first figure of each band array; they are an hour apart',
    ADD COLUMN IF NOT EXISTS band_low Array(Float64) COMMENT 'What a minute of each hour would have been surprisingly little; of errors, 429s, ms to first token and losses: of one call or one unit of money',
    ADD COLUMN IF NOT EXISTS band_expected Array(Float64) COMMENT 'What was expected of a minute of each hour',
    ADD COLUMN IF NOT EXISTS band_high Array(Float64) COMMENT 'Above this a minute is a spike'
