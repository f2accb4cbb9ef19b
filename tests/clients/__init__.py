"""``make clients``: clients of four languages, with their default properties, against the embedded server."""
