-- Removes one table or view of ours; a view of a dropped table may come later.
DROP TABLE IF EXISTS {database:Identifier}.{table:Identifier} SYNC
