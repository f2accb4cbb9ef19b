-- What each account stands at: a newer state replaces the older one. next_offset grows with every state of an account,
-- also where a change of the catalog alone made it, which leaves version as it was.
CREATE TABLE IF NOT EXISTS tokenmeter.account_states
(
    account_id      String,
    currency        LowCardinality(String),
    version         Int64 COMMENT 'Entries that counted',
    as_of           DateTime64(6, 'UTC') COMMENT 'Broker time of the last entry',
    next_offset     Int64 COMMENT 'Where the page on ledger.entries ended that made it',
    mode            LowCardinality(String) COMMENT 'PREPAID or POSTPAID',
    status          LowCardinality(String) COMMENT 'ACTIVE, SUSPENDED or CLOSED',
    allowed         Bool COMMENT 'Whether the account may call',
    reason          LowCardinality(String) COMMENT 'ok, exhausted, expired, budget, unpriced, suspended or closed',
    refused_until   Nullable(DateTime64(6, 'UTC')),
    balance         Decimal(38, 12) COMMENT 'What its entries without scope add up to',
    overdraft       Decimal(38, 12) COMMENT 'Charged beyond all grants; of a postpaid account its exposure',
    granted         Decimal(38, 12),
    credit          Nullable(Decimal(38, 12)) COMMENT 'What thresholds are shares of; null: no limit',
    used            Decimal(38, 12),
    unbilled        Decimal(38, 12),
    billed_unpaid   Decimal(38, 12),
    invoiced        Decimal(38, 12),
    paid            Decimal(38, 12),
    charged         Decimal(38, 12),
    provisional     Decimal(38, 12) COMMENT 'The part of charged that provisional prices made',
    calls           Int64,
    unpriced        Int64 COMMENT 'Calls that wait for a price',
    expired         Bool COMMENT 'What used up the credit was an expiry',
    grants          Array(Tuple(grant_id String, amount Decimal(38, 12), remaining Decimal(38, 12), priority Int32, expires_at Nullable(DateTime64(6, 'UTC')), promotional Bool, expiring Bool)),
    windows         Array(Tuple(scope String, scope_id String, window String, ends_at Nullable(DateTime64(6, 'UTC')), spent Decimal(38, 12), budget Nullable(Decimal(38, 12)), allowed Bool)),
    alarms          Array(Tuple(alarm String, alert_id String, since DateTime64(6, 'UTC'))) COMMENT 'The open alerts',
    burn            Array(Tuple(begins_at DateTime64(6, 'UTC'), charged Decimal(38, 12))) COMMENT 'Charges of the last hour',
    positions       Array(Tuple(partition Int32, first_offset Int64, line Int32)),
    entries         Array(Tuple(entry_id String, digest String, kind String, amount Decimal(38, 12), reference Nullable(String), voided Bool, at DateTime64(6, 'UTC'))),
    forgotten_until Nullable(DateTime64(6, 'UTC'))
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY account_id
COMMENT 'What each account stands at, as the ledger last wrote it; read it FINAL'
