-- Raw rows of one partition from before an offset.
SELECT count() AS rows
FROM tokenmeter.usage_events FINAL
WHERE partition = {partition:Int32} AND offset < {below:Int64}
