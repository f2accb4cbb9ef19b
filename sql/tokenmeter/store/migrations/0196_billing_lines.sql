-- What each customer used and owes: a line per page, key and hour, each once however often it was loaded.
CREATE VIEW IF NOT EXISTS billing.lines AS
SELECT * FROM tokenmeter.usage_billing FINAL
