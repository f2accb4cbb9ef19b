-- No chart reads boards.author_share any more.
DROP VIEW IF EXISTS boards.author_share
