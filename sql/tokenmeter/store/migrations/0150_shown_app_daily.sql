-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_app_daily AS
SELECT * FROM tokenmeter.app_daily FINAL
UNION ALL
SELECT * FROM simulated.app_daily FINAL
