-- Quarantined events of one partition by the page their offset lies in; pages begin at the offsets in firsts.
SELECT
    roundDown(offset, {firsts:Array(Int64)}) AS first_offset,
    toInt64(count()) AS events
FROM tokenmeter.quarantine FINAL
WHERE partition = {partition:Int32} AND offset >= {begin:Int64} AND offset < {end:Int64}
GROUP BY first_offset
