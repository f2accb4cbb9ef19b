-- What clients read and write on a cluster, under the name that the table has on a single node.
CREATE TABLE IF NOT EXISTS $database.$table ON CLUSTER '$cluster'
AS $shards.$table
ENGINE = Distributed('$cluster', $shards, $table, $key)
