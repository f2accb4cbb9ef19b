-- Every row is in usage_events now.
DROP TABLE IF EXISTS tokenmeter.usage_events_uncut SYNC
SETTINGS max_table_size_to_drop = 0
