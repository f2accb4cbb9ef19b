-- usage_market becomes a table cut by month and ordered by hour: the old one steps aside and its rows are copied. What a loader inserts meanwhile goes
-- into the new one, so nothing is lost; until the copy is done a board sees what was loaded since.
RENAME TABLE IF EXISTS tokenmeter.usage_market TO tokenmeter.usage_market_uncut
