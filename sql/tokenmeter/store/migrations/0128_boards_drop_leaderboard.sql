-- No chart reads boards.leaderboard any more.
DROP VIEW IF EXISTS boards.leaderboard
