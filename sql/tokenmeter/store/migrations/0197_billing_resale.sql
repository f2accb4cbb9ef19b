-- What each account above the customers owes for their calls: a line per page, key and hour, each once.
CREATE VIEW IF NOT EXISTS billing.resale AS
SELECT * FROM tokenmeter.usage_resale FINAL
