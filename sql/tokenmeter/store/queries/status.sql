-- One row for ``tokenmeter status``; ages in milliseconds, null where there is nothing yet.
SELECT
    (SELECT count() FROM tokenmeter.quarantine FINAL WHERE reason != 'released') AS quarantined,
    (SELECT count() FROM tokenmeter.quarantine FINAL WHERE reason = 'misrouted') AS misrouted,
    (SELECT count() FROM tokenmeter.foreign_records FINAL) AS foreign_records,
    (SELECT count() FROM boards.alerts_open) AS open_alerts,
    (SELECT toUnixTimestamp64Milli(maxOrNull(closed_at)) FROM tokenmeter.usage_pages) AS last_page_ms,
    toUnixTimestamp64Milli(now64(3)) AS now_ms
