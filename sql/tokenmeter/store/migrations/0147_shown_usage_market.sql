-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_usage_market AS
SELECT * FROM tokenmeter.usage_market FINAL
UNION ALL
SELECT * FROM simulated.usage_market FINAL
