-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_contexts_by_day AS
SELECT * FROM tokenmeter.contexts_by_day FINAL
UNION ALL
SELECT * FROM simulated.contexts_by_day FINAL
