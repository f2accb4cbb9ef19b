-- No chart reads boards.tokens_by_day any more.
DROP VIEW IF EXISTS boards.tokens_by_day
