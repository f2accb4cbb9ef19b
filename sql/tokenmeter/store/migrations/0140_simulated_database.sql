-- What `tokenmeter simulate` makes has a database of its own: the boards show it beside what was metered, and nothing
-- that counts what was metered (audit, reconcile, rebuild, close) ever reads it. Emptying its tables removes it all.
CREATE DATABASE IF NOT EXISTS simulated
