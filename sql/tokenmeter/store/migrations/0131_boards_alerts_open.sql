-- Alerts that nothing has resolved yet: credit and anomalies. That of a budget's window is over when the window ends.
CREATE VIEW IF NOT EXISTS boards.alerts_open AS
SELECT
    alert_id                                        AS alert,
    toDateTime(broker_at, 'UTC')                    AS told,
    toDateTime(since, 'UTC')                        AS began,
    toString(severity)                              AS severity,
    toString(kind)                                  AS kind,
    if(account_id = '', subject_id, account_id)     AS subject,
    sentence                                        AS sentence,
    toInt64(1)                                      AS alerts
FROM tokenmeter.alerts FINAL
WHERE state = 'OPEN'
    AND (ends_at IS NULL OR ends_at > now64(6, 'UTC'))
    AND alert_id NOT IN (SELECT arrayJoin(resolves) FROM tokenmeter.alerts FINAL WHERE state = 'RESOLVED')
