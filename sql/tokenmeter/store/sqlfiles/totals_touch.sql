-- Notes which hours and minutes rows have arrived for. The version was taken after the rows were in, so it is later than
-- that of every remake that may have missed them.
INSERT INTO tokenmeter.totals_due (source, bucket, touched, made)
SELECT (arrayJoin({buckets:Array(Tuple(String, DateTime('UTC')))}) AS bucket_of_source).1, bucket_of_source.2, {version:UInt64}, 0
