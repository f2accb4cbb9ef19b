-- One row: how old the newest raw event and the newest page are, and how long ago reconcile and audit finished, in
-- milliseconds; null where there is none yet.
CREATE OR REPLACE VIEW boards.pipeline AS
WITH
    (SELECT maxOrNull(appended_at) FROM tokenmeter.usage_events)   AS newest_event,
    (SELECT maxOrNull(closed_at) FROM tokenmeter.usage_pages)      AS newest_page,
    (SELECT maxOrNull(finished_at) FROM tokenmeter.reconcile_runs) AS newest_reconcile,
    (SELECT maxOrNull(finished_at) FROM tokenmeter.audit_runs)     AS newest_audit
SELECT
    toNullable(dateDiff('millisecond', newest_event, now64(3, 'UTC')))     AS event_age_ms,
    toNullable(dateDiff('millisecond', newest_page, now64(6, 'UTC')))      AS page_age_ms,
    toNullable(dateDiff('millisecond', newest_reconcile, now64(3, 'UTC'))) AS reconcile_age_ms,
    toNullable(dateDiff('millisecond', newest_audit, now64(3, 'UTC')))     AS audit_age_ms
