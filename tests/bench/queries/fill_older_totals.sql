-- The 14 months before, whose lines are gone and whose totals are kept: 600 groups a day.
INSERT INTO tokenmeter.market_daily (day, model, variant, currency, events, input_tokens, output_tokens, charge, version)
SELECT
    today() - 122 - intDiv(number, 600),
    concat('author-', toString(intDiv(number % 300, 8)), '/model-', toString(number % 300)),
    if(intDiv(number, 300) % 2 = 0, 'standard', 'free'),
    'USD',
    1000,
    1000000,
    200000,
    1.5,
    1
FROM numbers(426 * 600)
