-- The last 20 runs of reconcile. Figures are billing lines minus raw events, before the run corrected anything.
CREATE VIEW IF NOT EXISTS boards.reconcile AS
SELECT
    toDateTime(finished_at, 'UTC')           AS finished,
    if(applied, 'corrected', 'only shown')   AS mode,
    pages                                    AS pages,
    wrong_lines                              AS wrong_lines,
    wrong_calls                              AS wrong_calls,
    wrong_input_tokens + wrong_output_tokens AS wrong_tokens,
    corrections                              AS corrections,
    outstanding_lines                        AS outstanding_lines
FROM tokenmeter.reconcile_runs
ORDER BY finished_at DESC, run_id DESC
LIMIT 20
