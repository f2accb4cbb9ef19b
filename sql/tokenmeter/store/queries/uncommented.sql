-- Tables and views of ours (column empty) and their columns, with their comments.
SELECT database, table, column, comment
FROM
(
    SELECT database, name AS table, '' AS column, comment FROM system.tables
    UNION ALL
    SELECT database, table, name AS column, comment FROM system.columns
)
WHERE database IN ('tokenmeter', 'boards', 'simulated')
ORDER BY database, table, column
