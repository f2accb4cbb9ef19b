-- Every row of a table; the table stays.
TRUNCATE TABLE IF EXISTS {database:Identifier}.{table:Identifier}
