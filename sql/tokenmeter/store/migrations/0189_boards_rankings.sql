-- As 0120; a model without a token is in no ranking.
CREATE OR REPLACE VIEW boards.rankings AS
WITH
    totals AS
    (
        SELECT
            day,
            assumeNotNull(if(variant = 'standard' OR endsWith(model, concat(':', variant)), model,
                             concat(model, ':', variant)))       AS ranked_model,
            sum(tokens)                                          AS model_tokens
        FROM boards.models
        GROUP BY day, ranked_model
        HAVING model_tokens > 0
    ),
    placed AS
    (
        SELECT
            day,
            ranked_model,
            model_tokens,
            row_number() OVER (PARTITION BY day ORDER BY model_tokens DESC, ranked_model) AS place,
            sum(model_tokens) OVER (PARTITION BY day)                                     AS day_tokens
        FROM totals
    )
SELECT
    day,
    toInt64(least(place, 51))                          AS rank,
    if(place <= 50, ranked_model, 'other')             AS model,
    toInt64(sum(model_tokens))                         AS tokens,
    sum(model_tokens) / greatest(any(day_tokens), 1)   AS share
FROM placed
GROUP BY day, rank, model
