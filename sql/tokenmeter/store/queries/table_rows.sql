-- How many rows a table holds, copies included.
SELECT sum(total_rows) AS rows
FROM system.tables
WHERE database = {database:String} AND name = {table:String}
