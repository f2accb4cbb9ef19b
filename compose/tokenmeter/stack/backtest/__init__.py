"""What the watch would have told of a history, at each sensitivity: from ClickHouse, or from a CSV file."""
