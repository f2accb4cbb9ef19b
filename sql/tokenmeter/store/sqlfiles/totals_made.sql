-- Notes that the totals of these hours and minutes were made as of a version.
INSERT INTO tokenmeter.totals_due (source, bucket, touched, made)
SELECT {source:String}, arrayJoin({buckets:Array(DateTime('UTC'))}), 0, {version:UInt64}
