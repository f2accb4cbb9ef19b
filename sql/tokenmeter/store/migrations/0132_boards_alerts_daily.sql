-- Alerts by the UTC day of their cause, without those that only say that one is over.
CREATE VIEW IF NOT EXISTS boards.alerts_daily AS
SELECT
    toStartOfDay(toDateTime(broker_at, 'UTC'))      AS day,
    toNullable(toString(kind))                      AS kind,
    toString(severity)                              AS severity,
    toString(subject_kind)                          AS subject,
    toInt64(count())                                AS alerts
FROM tokenmeter.alerts FINAL
WHERE state != 'RESOLVED'
GROUP BY day, kind, severity, subject
