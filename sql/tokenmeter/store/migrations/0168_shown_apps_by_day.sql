-- What the boards show: the rows that were metered and the simulated ones. Read by range, as one table is.
CREATE OR REPLACE VIEW simulated.shown_apps_by_day AS
SELECT * FROM tokenmeter.apps_by_day FINAL
UNION ALL
SELECT * FROM simulated.apps_by_day FINAL
