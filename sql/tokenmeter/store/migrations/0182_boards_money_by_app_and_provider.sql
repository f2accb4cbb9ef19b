-- boards.money by app and provider too.
-- Of the market lines themselves, which are kept 125 days: no total has both.
CREATE OR REPLACE VIEW boards.money_by_app_and_provider AS
SELECT
    u.day AS day,
    toDateTime(toMonday(u.day), 'UTC') AS week,
    toNullable(toString(u.model)) AS model,
    toNullable(multiIf(
        f.author != '', f.author,
        a.author != '', a.author,
        position(u.model, '/') > 0, splitByChar('/', toString(u.model))[1],
        toString(u.model))) AS author,
    toNullable(multiIf(f.origin != '', f.origin, a.origin != '', a.origin, 'Unknown')) AS origin,
    toNullable(if(f.weights != '', f.weights, 'unknown')) AS weights,
    toNullable(toString(u.provider)) AS provider,
    toNullable(toString(u.app)) AS app,
    toNullable(toString(u.variant)) AS variant,
    toNullable(toString(u.currency)) AS currency,
    u.currency = (
        SELECT argMax(currency, calls)
        FROM (SELECT currency, sum(events) AS calls FROM simulated.shown_market_daily GROUP BY currency)
        WHERE currency IS NOT NULL) AS is_main,
    toInt64(u.sum_calls) AS calls,
    toInt64(u.sum_tokens) AS tokens,
    u.sum_charge AS charge,
    if(u.cost_currency = u.currency, u.sum_charge, NULL) AS margin_charge,
    if(u.cost_currency = u.currency, u.sum_cost, NULL) AS margin_cost,
    if(u.cost_currency = u.currency, u.sum_charge - u.sum_cost, NULL) AS margin
FROM
(
    SELECT
        toStartOfDay(toDateTime(t.occurred_hour, 'UTC')) AS day,
        t.model AS model,
        t.provider AS provider,
        ifNull(toString(t.app_id), 'no app') AS app,
        t.variant AS variant,
        t.currency AS currency,
        t.cost_currency AS cost_currency,
        sum(t.events) AS sum_calls,
        sum(t.input_tokens + t.output_tokens) AS sum_tokens,
        sum(t.charge) AS sum_charge,
        sum(t.cost) AS sum_cost,
        if(position(t.model, '/') > 0, concat(splitByChar('/', toString(t.model))[1], '/'), '') AS author_key
    FROM simulated.shown_usage_market AS t
    WHERE t.currency IS NOT NULL
    GROUP BY day, model, provider, app, variant, currency, cost_currency, author_key
) AS u
LEFT ANY JOIN boards.model_facts AS f ON f.name = u.model
LEFT ANY JOIN boards.model_facts AS a ON a.name = u.author_key
