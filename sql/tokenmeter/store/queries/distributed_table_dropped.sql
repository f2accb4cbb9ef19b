-- The rows stay where they are: on the shards.
DROP TABLE IF EXISTS $database.$table ON CLUSTER '$cluster' SYNC
