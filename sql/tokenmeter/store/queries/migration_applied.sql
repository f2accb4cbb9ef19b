-- One request where an insert of the client takes two: it asks for the table's columns first.
INSERT INTO tokenmeter.schema_migrations (name, checksum) SELECT {name:String}, {checksum:String}
