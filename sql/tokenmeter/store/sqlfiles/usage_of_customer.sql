-- What a customer used in a period: whole days from their totals, the days in ``line_days`` from the lines themselves,
-- which know the hour. Amounts of several currencies are listed, never added.
SELECT
    asked_day, asked_project, asked_key, asked_model,
    sum(m.calls) AS calls, sum(m.errors) AS errors, sum(m.unpriced) AS unpriced, sum(m.provisional) AS provisional,
    sum(m.input_tokens) AS input_tokens, sum(m.cached_input_tokens) AS cached_input_tokens,
    sum(m.cache_write_tokens) AS cache_write_tokens, sum(m.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(m.input_audio_tokens) AS input_audio_tokens, sum(m.input_image_tokens) AS input_image_tokens,
    sum(m.output_tokens) AS output_tokens, sum(m.reasoning_tokens) AS reasoning_tokens,
    sum(m.output_audio_tokens) AS output_audio_tokens, sum(m.output_image_tokens) AS output_image_tokens,
    sum(m.images_in) AS images_in, sum(m.images_out) AS images_out, sum(m.video_seconds) AS video_seconds,
    sum(m.tool_calls) AS tool_calls, sum(m.tool_call_errors) AS tool_call_errors,
    sum(m.web_searches) AS web_searches,
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
        sum(u.input_tokens) AS input_tokens, sum(u.cached_input_tokens) AS cached_input_tokens,
        sum(u.cache_write_tokens) AS cache_write_tokens, sum(u.cache_write_1h_tokens) AS cache_write_1h_tokens,
        sum(u.input_audio_tokens) AS input_audio_tokens, sum(u.input_image_tokens) AS input_image_tokens,
        sum(u.output_tokens) AS output_tokens, sum(u.reasoning_tokens) AS reasoning_tokens,
        sum(u.output_audio_tokens) AS output_audio_tokens, sum(u.output_image_tokens) AS output_image_tokens,
        sum(u.images_in) AS images_in, sum(u.images_out) AS images_out, sum(u.video_seconds) AS video_seconds,
        sum(u.tool_calls) AS tool_calls, sum(u.tool_call_errors) AS tool_call_errors,
        sum(u.web_searches) AS web_searches,
        sum(u.charge) AS charge
    FROM
    (
        SELECT
            day, project_id, api_key_id, model, currency, charge, events, errors, unpriced, provisional,
            input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, input_audio_tokens,
            input_image_tokens, output_tokens, reasoning_tokens, output_audio_tokens, output_image_tokens, images_in,
            images_out, video_seconds, tool_calls, tool_call_errors, web_searches
        FROM tokenmeter.billing_daily FINAL
        WHERE customer_id = {customer_id:String}
          AND day >= toDate({since:DateTime('UTC')}) AND day <= toDate({last:DateTime('UTC')})
          AND day NOT IN {line_days:Array(Date)}
        UNION ALL
        SELECT
            toDate(occurred_hour, 'UTC') AS day, project_id, api_key_id, model, currency, charge, events, errors,
            if(charge IS NULL, events, 0) AS unpriced, if(provisional, events, 0) AS provisional,
            input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, input_audio_tokens,
            input_image_tokens, output_tokens, reasoning_tokens, output_audio_tokens, output_image_tokens, images_in,
            images_out, video_seconds, tool_calls, tool_call_errors, web_searches
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
