-- One row a run of reconcile: what it judged (offsets of usage.events by partition), what it found, what is left.
CREATE TABLE IF NOT EXISTS tokenmeter.reconcile_runs
(
    run_id             String,
    finished_at        DateTime64(3, 'UTC'),
    applied            Bool,
    begins             Map(Int32, Int64),
    watermarks         Map(Int32, Int64),
    pages              Int64,
    wrong_lines        Int64,
    wrong_calls        Int64,
    wrong_input_tokens Int64,
    wrong_output_tokens Int64,
    corrections        Int64,
    outstanding_lines  Int64,
    unprovable_events  Int64
)
ENGINE = MergeTree
ORDER BY (finished_at, run_id)
