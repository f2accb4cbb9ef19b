-- A version later than every version so far: the server's microseconds, doubled so that each has a version before it.
-- Should the server's clock have been set back, the last version plus two.
SELECT greatest(toUInt64(2 * toUnixTimestamp64Micro(now64(6))), max(greatest(touched, made)) + 2) AS version
FROM tokenmeter.totals_due
