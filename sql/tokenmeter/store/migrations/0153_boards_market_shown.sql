-- What every market chart is made of: one row per line, each page once, 64-bit signed figures only.
-- With what is simulated, if anything is.
CREATE OR REPLACE VIEW boards.market AS
SELECT
    toDateTime(occurred_hour, 'UTC')                AS hour,
    toStartOfDay(toDateTime(occurred_hour, 'UTC'))  AS day,
    toDateTime(toMonday(toDateTime(occurred_hour, 'UTC')), 'UTC') AS week,
    toString(model)                                 AS model,
    splitByChar('/', toString(model))[1]            AS author,
    toString(provider)                              AS provider,
    ifNull(toString(app_id), 'none')                AS app,
    toString(variant)                               AS variant,
    toString(operation)                             AS operation,
    ifNull(toString(country), 'unknown')            AS country,
    events                                          AS calls,
    errors                                          AS errors,
    rate_limited                                    AS rate_limited,
    input_tokens                                    AS input_tokens,
    output_tokens                                   AS output_tokens,
    input_tokens + output_tokens                    AS tokens
FROM simulated.shown_usage_market
