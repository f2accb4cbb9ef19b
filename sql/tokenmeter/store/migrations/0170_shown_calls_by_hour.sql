-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_calls_by_hour AS
SELECT * FROM tokenmeter.calls_by_hour FINAL
UNION ALL
SELECT * FROM simulated.calls_by_hour FINAL
