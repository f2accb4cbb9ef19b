-- Every row is in usage_billing now.
DROP TABLE IF EXISTS tokenmeter.usage_billing_uncut SYNC
SETTINGS max_table_size_to_drop = 0
