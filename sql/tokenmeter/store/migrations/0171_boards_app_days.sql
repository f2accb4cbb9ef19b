-- The market by UTC day and app. Calls that name no app are the app 'no app': shares are of all tokens.
CREATE OR REPLACE VIEW boards.app_days AS
SELECT
    toDateTime(t.day, 'UTC') AS day,
    toDateTime(toMonday(t.day), 'UTC') AS week,
    toNullable(ifNull(toString(t.app_id), 'no app')) AS app,
    toInt64(sum(t.events)) AS calls,
    toInt64(sum(t.errors)) AS errors,
    toInt64(sum(t.input_tokens)) AS input_tokens,
    toInt64(sum(t.output_tokens)) AS output_tokens,
    toInt64(sum(t.tool_calls)) AS tool_calls,
    toInt64(sum(t.input_tokens + t.output_tokens)) AS tokens
FROM simulated.shown_apps_by_day AS t
GROUP BY t.day, app
