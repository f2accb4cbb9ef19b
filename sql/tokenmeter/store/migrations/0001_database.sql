-- Everything tokenmeter stores is in one database; the boards read another, of views only.
CREATE DATABASE IF NOT EXISTS tokenmeter
