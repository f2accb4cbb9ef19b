-- Every row is in usage_resale now.
DROP TABLE IF EXISTS tokenmeter.usage_resale_uncut SYNC
SETTINGS max_table_size_to_drop = 0
