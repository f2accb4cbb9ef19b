-- Every row is in usage_market now.
DROP TABLE IF EXISTS tokenmeter.usage_market_uncut SYNC
SETTINGS max_table_size_to_drop = 0
