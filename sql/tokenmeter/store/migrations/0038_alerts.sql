-- Something people must know of, told once: the same fact has the same id.
CREATE TABLE IF NOT EXISTS tokenmeter.alerts
(
    alert_id          String,
    account_id        String,
    subject_kind      LowCardinality(String) COMMENT 'account, project, key, end_user, model, entry and so on',
    subject_id        String,
    kind              LowCardinality(String) COMMENT 'threshold, forecast, unpriced, conflict, invalid, resolved',
    state             LowCardinality(String) COMMENT 'OPEN, RESOLVED, or NOTICE: never resolved',
    severity          LowCardinality(String) COMMENT 'INFO, WARNING or CRITICAL',
    expected          Nullable(Decimal(38, 12)),
    seen              Nullable(Decimal(38, 12)),
    score             Nullable(Float64),
    amount            Nullable(Decimal(38, 12)),
    currency          LowCardinality(Nullable(String)),
    threshold_percent Nullable(Int32),
    window            Nullable(String) COMMENT 'Of a budget: when it ends the alert is over without a record',
    ends_at           Nullable(DateTime64(6, 'UTC')),
    projected_at      Nullable(DateTime64(6, 'UTC')) COMMENT 'When the credit will be used up at the present rate',
    topic             Nullable(String) COMMENT 'Where the cause stands',
    partition         Nullable(Int32),
    first_offset      Nullable(Int64),
    last_offset       Nullable(Int64),
    entry_id          Nullable(String) COMMENT 'The entry that made the difference',
    broker_at         DateTime64(6, 'UTC') COMMENT 'Broker time of the cause',
    since             DateTime64(6, 'UTC'),
    resolves          Array(String) COMMENT 'The alert_ids of all that recovered',
    sentence          String
)
ENGINE = ReplacingMergeTree
ORDER BY (account_id, alert_id)
COMMENT 'Credit alerts and anomalies, each once; read it FINAL'
