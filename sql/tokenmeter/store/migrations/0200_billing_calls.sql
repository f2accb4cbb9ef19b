-- Every accepted event of 31 days, once; sums over longer times are in billing.lines.
CREATE VIEW IF NOT EXISTS billing.calls AS
SELECT * FROM tokenmeter.usage_events FINAL
