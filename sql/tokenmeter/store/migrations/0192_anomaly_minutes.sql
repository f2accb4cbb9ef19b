-- What the subjects of the first anomalies of boards.anomalies ({places} of them) did in each minute that the band of their
-- alert covers, beside that band. A minute is that in which the page of the lines was closed, as the watch counts. Amounts
-- of a minute are whole; of errors, 429s, milliseconds to the first token and losses they are of one call or unit of money,
-- null when there was none. The fewer anomalies, the fewer hours and customers it reads.
CREATE VIEW IF NOT EXISTS tokenmeter.anomaly_minutes
AS
WITH
    told AS
    (
        SELECT
            a.place AS place, a.anomaly AS anomaly, t.alert_id AS alert_id,
            toString(t.subject_kind) AS subject_kind, t.account_id AS account_id, t.subject_id AS subject_id,
            ifNull(toString(t.measure), '') AS measure, ifNull(t.topic, '') AS topic,
            assumeNotNull(toDateTime(t.band_begins_at, 'UTC')) AS begins,
            t.band_low AS band_low, t.band_expected AS band_expected, t.band_high AS band_high
        FROM tokenmeter.alerts AS t FINAL
        INNER JOIN boards.anomalies AS a ON a.alert = t.alert_id
        WHERE a.place <= {places:Int64} AND t.state = 'OPEN' AND notEmpty(t.band_expected)
    ),
    minutes AS
    (
        SELECT place, anomaly, subject_kind, account_id, subject_id, measure, low, expected, high,
            begins + INTERVAL (nth - 1) HOUR + INTERVAL arrayJoin(range(60)) MINUTE AS minute
        FROM told
        ARRAY JOIN band_low AS low, band_expected AS expected, band_high AS high, arrayEnumerate(band_low) AS nth
    ),
    pages AS
    (
        SELECT partition, first_offset, toStartOfMinute(toDateTime(any(closed_at), 'UTC')) AS minute
        FROM tokenmeter.usage_pages FINAL
        WHERE closed_at >= (SELECT min(begins) FROM told)
        GROUP BY partition, first_offset
    ),
    billing AS
    (
        SELECT
            tupleElement(who, 1) AS subject_kind, l.customer_id AS account_id, tupleElement(who, 2) AS subject_id, pages.minute AS minute,
            sum(l.events) AS calls, sum(l.input_tokens + l.output_tokens) AS tokens,
            sum(if(alike, abs(toFloat64(l.reported_cost) - toFloat64(l.reported_calls_cost)), 0)) AS mismatch,
            sum(if(alike, abs(toFloat64(l.reported_cost)), 0)) AS reported
        FROM
        (
            SELECT *, ifNull(cost_currency = 'USD' AND currency = 'USD' AND isNotNull(reported_cost) AND isNotNull(reported_calls_cost), 0) AS alike
            FROM tokenmeter.usage_billing FINAL
            WHERE occurred_hour >= (SELECT min(begins) FROM told) - INTERVAL 2 HOUR
                AND customer_id IN (SELECT account_id FROM told WHERE topic = 'usage.billing')
                AND events > 0 AND input_tokens + output_tokens >= 0 AND ifNull(charge, 0) >= 0
        ) AS l
        INNER JOIN pages ON l.partition = pages.partition AND l.first_offset = pages.first_offset
        ARRAY JOIN [('customer', l.customer_id), ('key', ifNull(l.api_key_id, ''))] AS who
        GROUP BY subject_kind, account_id, subject_id, minute
    ),
    market AS
    (
        SELECT
            concat(toString(l.model), ' at ', toString(l.provider)) AS subject_id, pages.minute AS minute,
            sum(l.events) AS calls, sum(greatest(l.errors - l.rate_limited, 0)) AS errors, sum(l.rate_limited) AS rate_limited,
            sum(l.latency_sum_ms) AS latency, sum(l.latency_calls) AS latency_calls,
            sum(if(comparable, greatest(toFloat64(l.cost) - toFloat64(l.charge), 0), 0)) AS loss,
            sum(if(comparable, toFloat64(l.charge), 0)) AS sold
        FROM
        (
            SELECT *, ifNull(unpriced = 0 AND uncosted = 0 AND byok = 0 AND currency = cost_currency, 0) AS comparable
            FROM tokenmeter.usage_market FINAL
            WHERE occurred_hour >= (SELECT min(begins) FROM told) - INTERVAL 2 HOUR
                AND concat(toString(model), ' at ', toString(provider)) IN (SELECT subject_id FROM told WHERE topic = 'usage.market')
                AND events > 0
        ) AS l
        INNER JOIN pages ON l.partition = pages.partition AND l.first_offset = pages.first_offset
        GROUP BY subject_id, minute
    )
SELECT
    m.anomaly AS anomaly, m.place AS place, m.measure AS measure, m.minute AS minute,
    multiIf(
        m.measure = 'tokens', toNullable(toFloat64(billing.tokens)),
        m.measure = 'calls', toNullable(toFloat64(billing.calls)),
        m.measure = 'price_mismatch', billing.mismatch / nullIf(billing.reported, 0),
        m.measure = 'errors', market.errors / nullIf(market.calls, 0),
        m.measure = 'rate_limited', market.rate_limited / nullIf(market.calls, 0),
        m.measure = 'first_token_ms', market.latency / nullIf(market.latency_calls, 0),
        m.measure = 'loss', market.loss / nullIf(market.sold, 0),
        NULL) AS seen,
    m.low AS low, m.expected AS expected, m.high AS high
FROM minutes AS m
LEFT JOIN billing ON m.subject_kind = billing.subject_kind AND m.account_id = billing.account_id
    AND m.subject_id = billing.subject_id AND m.minute = billing.minute
LEFT JOIN market ON m.subject_id = market.subject_id AND m.minute = market.minute AND m.subject_kind = 'model_provider'
WHERE m.minute < toStartOfMinute(now('UTC'))
