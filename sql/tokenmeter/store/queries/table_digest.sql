-- Rows of a table and a digest of their contents that does not depend on their order.
SELECT count() AS rows, sum(sipHash64(formatRowNoNewline('TSV', *))) AS digest
FROM {database:Identifier}.{table:Identifier} FINAL
