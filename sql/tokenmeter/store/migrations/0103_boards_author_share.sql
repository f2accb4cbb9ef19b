-- Tokens per ISO week and author: the nine authors with most tokens by name, the rest as Others.
CREATE VIEW IF NOT EXISTS boards.author_share AS
WITH top AS
(
    SELECT author
    FROM boards.market
    GROUP BY author
    ORDER BY sum(tokens) DESC, author
    LIMIT 9
)
SELECT
    m.week                                              AS week,
    if(m.author IN (SELECT author FROM top), m.author, 'Others') AS series,
    toInt64(sum(m.tokens))                              AS tokens
FROM boards.market AS m
GROUP BY week, series
