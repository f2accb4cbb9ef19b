-- One row a run of audit that looked at ClickHouse: what it compared and whether everything agreed.
CREATE TABLE IF NOT EXISTS tokenmeter.audit_runs
(
    finished_at    DateTime64(3, 'UTC') COMMENT 'When the audit ended, UTC',
    ok             Bool COMMENT 'Nothing differed and nothing was lost unread',
    pages          Int64 COMMENT 'Pages that agreed',
    events         Int64 COMMENT 'Of them: events, each once',
    lost_offsets   Int64 COMMENT 'Offsets that retention removed before they were metered',
    missing_events Int64 COMMENT 'Events that sources numbered and Kafka never had',
    difference     String COMMENT 'The first difference, empty without one',
    seconds        Float64 COMMENT 'How long it took'
)
ENGINE = MergeTree
ORDER BY finished_at
COMMENT 'Runs of tokenmeter audit'
