"""The ranges of time that the boards show at first; DAYS and WEEKS with the column they filter."""

HISTORY = 'DATEADD(DATETIME("now"), -18, month) : now'
DAYS, WEEKS = ("day", HISTORY), ("week", HISTORY)
WEEK = 'DATEADD(DATETIME("now"), -7, day) : now'
LAST_DAY = 'DATEADD(DATETIME("now"), -1, day) : now'
