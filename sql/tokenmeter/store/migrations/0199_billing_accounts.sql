-- What each account stands at now: one row an account.
CREATE VIEW IF NOT EXISTS billing.accounts AS
SELECT * FROM tokenmeter.account_states FINAL
