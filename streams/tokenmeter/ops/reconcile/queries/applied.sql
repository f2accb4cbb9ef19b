-- Corrections that earlier runs emitted and that are stored: what they say, so that another payload is noticed.
SELECT event_id, customer_id, calls, input_tokens, output_tokens, rating
FROM tokenmeter.usage_events FINAL
WHERE kind = 'CORRECTION' AND source = {source:String}
