-- An anomaly says what it counted, and what it will have cost an hour from then.
ALTER TABLE tokenmeter.alerts
    ADD COLUMN IF NOT EXISTS measure LowCardinality(Nullable(String)) COMMENT 'Of an anomaly: tokens, calls, errors and so on',
    ADD COLUMN IF NOT EXISTS projected_amount Nullable(Decimal(38, 12)) COMMENT 'Of an anomaly: an hour from then at its pace'
