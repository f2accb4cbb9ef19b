-- Tokens (prompt and completion) per UTC day: the nine models with most tokens by name, the rest as Others.
-- Others is made here because the chart's own needs join settings and fails on plain columns.
CREATE VIEW IF NOT EXISTS boards.tokens_by_day AS
WITH top AS
(
    SELECT model
    FROM boards.market
    GROUP BY model
    ORDER BY sum(tokens) DESC, model
    LIMIT 9
)
SELECT
    m.day                                             AS day,
    if(m.model IN (SELECT model FROM top), m.model, 'Others') AS series,
    toInt64(sum(m.tokens))                            AS tokens
FROM boards.market AS m
GROUP BY day, series
