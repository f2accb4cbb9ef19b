-- The journal of every account, each entry once; its balance is the sum of amount where scope is null.
CREATE VIEW IF NOT EXISTS billing.entries AS
SELECT * FROM tokenmeter.ledger_entries FINAL
