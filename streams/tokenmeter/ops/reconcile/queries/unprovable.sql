-- Raw events of the judged pages that were appended so long after they ended that a first copy may have been removed.
SELECT toInt64(count()) AS events
FROM tokenmeter.usage_events AS e FINAL
WHERE e.offset >= {begins:Array(Int64)}[indexOf({partitions:Array(Int32)}, e.partition)]
  AND e.offset < {ends:Array(Int64)}[indexOf({partitions:Array(Int32)}, e.partition)]
  AND e.kind != 'CORRECTION'
  AND e.appended_at > e.occurred_at + toIntervalDay({days:UInt16})
