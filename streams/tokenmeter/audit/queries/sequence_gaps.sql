-- By source: numbers seen, how many are missing between the first and the last judged one, and the first ranges of them.
WITH
    arrayPushFront(arraySort(bitmapToArray(judged)), toUInt64(low)) AS numbers,
    arrayFilter(pair -> pair.2 > pair.1 + 1, arrayZip(arrayPopBack(numbers), arrayPopFront(numbers))) AS holes
SELECT
    toString(source),
    toString(bitmapCardinality(judged)),
    toString(arraySum(pair -> pair.2 - pair.1 - 1, holes)),
    arrayMap(pair -> [toString(pair.1), toString(pair.2 - 2)], arrayMap(pair -> (pair.1, pair.2), arraySlice(holes, 1, $shown)))
FROM
(
    -- Numbers are shifted by one, so that the number before the first one is 0 and not below it.
    SELECT
        source,
        if($whole, 0, if(maxIf(sequence, before) > 0 OR countIf(before) > 0, maxIf(sequence, before) + 1, min(sequence))) AS low,
        maxIf(sequence, settled) + 1 AS high,
        bitmapSubsetInRange(groupBitmapState(toUInt64(sequence + 1)), toUInt64(low + 1), toUInt64(high + 1)) AS judged
    FROM file('$files', RowBinary, 'source UInt64, sequence Int64, settled Bool, before Bool')
    GROUP BY source
    HAVING countIf(settled) > 0 AND high > low
)
