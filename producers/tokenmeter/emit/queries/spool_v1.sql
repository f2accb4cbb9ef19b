-- Version 1 of the spool. Ids are the order in which events were accepted; crc32 covers topic, key and value, because
-- SQLite has no checksums of its own and a flipped bit would be another number of tokens.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    source TEXT NOT NULL,
    accepted_us INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL
) STRICT;
