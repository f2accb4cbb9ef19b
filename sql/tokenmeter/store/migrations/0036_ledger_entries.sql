-- The journal of every account. The same entry written twice (same id, same content) is here once, as the ledger counts
-- it once. An entry that reuses an id with other content is a row of its own: the ledger refuses it, see alerts.
CREATE TABLE IF NOT EXISTS tokenmeter.ledger_entries
(
    account_id           String COMMENT 'Whose balance it moves',
    entry_id             String COMMENT 'CHARGE: usage.events/partition/first_offset/line; any other: as its maker named it',
    kind                 LowCardinality(String) COMMENT 'CHARGE, GRANT, PAYMENT, ADJUSTMENT, INVOICE, VOID or EXPIRY',
    amount               Nullable(Decimal(38, 12)) COMMENT 'What it adds to the balance; null: an invoice, or no call has a price',
    billed_amount        Nullable(Decimal(38, 12)) COMMENT 'INVOICE and VOID of one: what is billed',
    currency             LowCardinality(String) COMMENT 'The account''s currency',
    provisional_amount   Nullable(Decimal(38, 12)) COMMENT 'The part of a CHARGE that provisional prices made',
    scope                LowCardinality(Nullable(String)) COMMENT 'Of a budget''s own entry: PROJECT, KEY, END_USER or MODEL; null: moves the balance',
    scope_id             Nullable(String) COMMENT 'Which project, key, end user or model',
    occurred_day         Nullable(DateTime64(6, 'UTC')) COMMENT 'UTC day in which the calls ended',
    earliest_occurred_at Nullable(DateTime64(6, 'UTC')),
    latest_occurred_at   Nullable(DateTime64(6, 'UTC')),
    partition            Nullable(Int32) COMMENT 'Partition of usage.events',
    first_offset         Nullable(Int64) COMMENT 'The page, named by its first offset on that partition',
    last_offset          Nullable(Int64) COMMENT 'Its last offset',
    line                 Nullable(Int32) COMMENT 'Number of the entry in its page, from 0',
    level                Int32 COMMENT 'Levels above the customer; 0 is the customer',
    calls                Int64 COMMENT 'Model calls',
    errors               Int64 COMMENT 'Calls with status 400 or above, or with an error class',
    input_tokens         Int64,
    output_tokens        Int64,
    unpriced             Int64 COMMENT 'Calls without a price; negative where a re-rating gave them one',
    priority             Int32 COMMENT 'GRANT, PAYMENT: the smallest is drawn first',
    expires_at           Nullable(DateTime64(6, 'UTC')) COMMENT 'What is left by then is taken off',
    promotional          Bool COMMENT 'Given, not paid for',
    grant_id             Nullable(String) COMMENT 'EXPIRY: the grant',
    voids                Nullable(String) COMMENT 'VOID: the entry it takes back',
    reference            Nullable(String) COMMENT 'The payment''s or invoice''s number elsewhere',
    note                 Nullable(String),
    made_at              DateTime64(6, 'UTC'),
    made_by              String,
    content              UInt64 MATERIALIZED sipHash64(toString(tuple(
        kind, amount, billed_amount, currency, scope, scope_id, occurred_day, unpriced,
        priority, expires_at, promotional, grant_id, voids, reference)))
        COMMENT 'What two entries of one id have in common when they are the same entry'
)
ENGINE = ReplacingMergeTree
ORDER BY (account_id, entry_id, content)
COMMENT 'The journal of every account; its balance is the sum of amount where scope is null; read it FINAL'
