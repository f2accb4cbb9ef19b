-- What a customer used in a period: whole days from their totals, the days in ``line_days`` from the lines themselves,
-- which know the hour. Amounts of several currencies are listed, never added.
SELECT
    asked_day, asked_project, asked_key, asked_model,
    sum(m.calls) AS calls, sum(m.errors) AS errors, sum(m.unpriced) AS unpriced, sum(m.provisional) AS provisional,
    each_quantity(sum(m.#) AS #),
    groupArrayIf((assumeNotNull(toString(m.currency)), assumeNotNull(m.charge)), isNotNull(m.charge)) AS charges
FROM
(
    SELECT
        if({by_day:Bool}, u.day, NULL) AS asked_day,
        if({by_project:Bool}, u.project_id, NULL) AS asked_project,
        if({by_key:Bool}, u.api_key_id, NULL) AS asked_key,
        if({by_model:Bool}, u.model, NULL) AS asked_model,
        u.currency AS currency,
        sum(u.events) AS calls,
        sum(u.errors) AS errors, sum(u.unpriced) AS unpriced, sum(u.provisional) AS provisional,
        each_quantity(sum(u.#) AS #),
        sum(u.charge) AS charge
    FROM
    (
        SELECT
            day, project_id, api_key_id, model, currency, charge, events, errors, unpriced, provisional,
            each_quantity(#)
        FROM tokenmeter.billing_daily FINAL
        WHERE customer_id = {customer_id:String}
          AND day >= toDate({since:DateTime('UTC')}) AND day <= toDate({last:DateTime('UTC')})
          AND day NOT IN {line_days:Array(Date)}
        UNION ALL
        SELECT
            toDate(occurred_hour, 'UTC') AS day, project_id, api_key_id, model, currency, charge, events, errors,
            if(charge IS NULL, events, 0) AS unpriced, if(provisional, events, 0) AS provisional,
            each_quantity(#)
        FROM tokenmeter.usage_billing FINAL
        WHERE customer_id = {customer_id:String}
          AND occurred_hour >= {since:DateTime('UTC')} AND occurred_hour <= {last:DateTime('UTC')}
          AND toDate(occurred_hour, 'UTC') IN {line_days:Array(Date)}
    ) AS u
    GROUP BY asked_day, asked_project, asked_key, asked_model, currency
) AS m
GROUP BY asked_day, asked_project, asked_key, asked_model
ORDER BY asked_day, asked_project, asked_key, asked_model
SETTINGS do_not_merge_across_partitions_select_final = 1
