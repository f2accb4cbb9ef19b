-- One row: how many simulated lines and calls there are. The boards say so while it is not 0.
CREATE OR REPLACE VIEW boards.simulation AS
SELECT
    toInt64((SELECT count() FROM simulated.usage_market)) AS lines,
    toInt64((SELECT count() FROM simulated.usage_events)) AS calls
