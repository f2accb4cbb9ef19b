-- The anomalies of the last week that have a band, 100 at most, what is open first, then the newest; place 1 is the one
-- that a board shows when nobody chooses. Each has a name to choose it by.
CREATE VIEW IF NOT EXISTS boards.anomalies
(
    place         Int64 COMMENT 'From 1: what is open, the newest first, then what is over',
    anomaly       Nullable(String) COMMENT 'Name of the alert for people: subject, measure, UTC minute of its end and the beginning of its id',
    alert         String COMMENT 'Its id',
    subject       String COMMENT 'Customer, or model at a provider',
    told          DateTime('UTC') COMMENT 'End of the minute that it was told of',
    is_open       Int64 COMMENT '1 while nothing has resolved it'
)
AS
WITH over AS (SELECT arrayJoin(resolves) FROM tokenmeter.alerts FINAL WHERE state = 'RESOLVED')
SELECT
    toInt64(row_number() OVER (ORDER BY is_open DESC, broker_at DESC, alert_id))            AS place,
    toNullable(concat(
        if(account_id IN ('', subject_id), subject_id, concat(account_id, ', ', subject_id)), ': ', ifNull(toString(measure), ''), ', ',
        formatDateTime(broker_at, '%m-%d %H:%i', 'UTC'), ' (', substring(alert_id, 1, 6), ')')) AS anomaly,
    alert_id                                                                                 AS alert,
    if(account_id = '', subject_id, account_id)                                              AS subject,
    toDateTime(broker_at, 'UTC')                                                             AS told,
    toInt64(alert_id NOT IN over)                                                            AS is_open
FROM tokenmeter.alerts FINAL
WHERE state = 'OPEN' AND notEmpty(band_expected) AND broker_at >= now64(6, 'UTC') - INTERVAL 7 DAY
ORDER BY place
LIMIT 100
