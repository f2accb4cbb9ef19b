-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_usage_events AS
SELECT * FROM tokenmeter.usage_events FINAL
UNION ALL
SELECT * FROM simulated.usage_events FINAL
