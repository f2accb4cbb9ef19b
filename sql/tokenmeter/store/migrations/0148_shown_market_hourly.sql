-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_market_hourly AS
SELECT * FROM tokenmeter.market_hourly FINAL
UNION ALL
SELECT * FROM simulated.market_hourly FINAL
