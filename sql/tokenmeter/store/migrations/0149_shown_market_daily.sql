-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_market_daily AS
SELECT * FROM tokenmeter.market_daily FINAL
UNION ALL
SELECT * FROM simulated.market_daily FINAL
