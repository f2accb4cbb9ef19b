-- Says what a table or view is, and its columns.
ALTER TABLE $table$on_cluster
    $parts
