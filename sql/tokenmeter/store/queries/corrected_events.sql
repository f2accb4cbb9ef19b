-- Which calls of a customer are there, of those that corrections name. Their days are read and no others; several copies
-- of a call are one.
SELECT DISTINCT
    event_id,
    toUnixTimestamp64Micro(occurred_at) AS occurred_at_us
FROM tokenmeter.usage_events
WHERE customer_id = {customer_id:String}
  AND kind = 'USAGE'
  AND toYYYYMMDD(occurred_at) IN {days:Array(UInt32)}
  AND (event_id, toUnixTimestamp64Micro(occurred_at)) IN arrayZip({event_ids:Array(String)}, {times_us:Array(Int64)})
