-- Which catalog a page was rated by, and its money where all of it is in one currency.
ALTER TABLE tokenmeter.usage_pages
    ADD COLUMN IF NOT EXISTS resale_lines Int32 AFTER market_lines,
    ADD COLUMN IF NOT EXISTS ledger_entries Int32 AFTER resale_lines,
    ADD COLUMN IF NOT EXISTS catalog_offset Int64 AFTER ledger_entries,
    ADD COLUMN IF NOT EXISTS currency LowCardinality(Nullable(String)) AFTER cost,
    ADD COLUMN IF NOT EXISTS cost_currency LowCardinality(Nullable(String)) AFTER currency
