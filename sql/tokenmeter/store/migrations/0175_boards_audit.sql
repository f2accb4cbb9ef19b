-- The last 20 runs of audit. Pages and events are those that agreed.
CREATE OR REPLACE VIEW boards.audit AS
SELECT
    toDateTime(finished_at, 'UTC')                                             AS finished,
    multiIf(ok, 'agrees', difference != '', 'DIFFERENT', 'lost before metered') AS result,
    pages                                                                      AS pages,
    events                                                                     AS events,
    lost_offsets                                                               AS lost_offsets,
    missing_events                                                             AS missing_events,
    difference                                                                 AS difference
FROM tokenmeter.audit_runs
ORDER BY finished_at DESC
LIMIT 20
