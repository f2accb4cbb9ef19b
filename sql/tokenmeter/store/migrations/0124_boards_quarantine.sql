-- Events that could not be used, by the UTC day the broker took them and by reason.
CREATE VIEW IF NOT EXISTS boards.quarantine AS
SELECT
    toStartOfDay(toDateTime(appended_at, 'UTC'))  AS day,
    toNullable(toString(reason))                  AS reason,
    toInt64(count())                              AS events,
    toDateTime(max(appended_at), 'UTC')           AS latest
FROM tokenmeter.quarantine FINAL
GROUP BY day, reason
