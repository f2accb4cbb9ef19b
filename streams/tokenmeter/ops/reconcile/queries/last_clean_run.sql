-- Up to which offset of each partition everything has been judged and set right.
SELECT watermarks
FROM tokenmeter.reconcile_runs
WHERE outstanding_lines = 0
ORDER BY finished_at DESC, run_id DESC
LIMIT 1
