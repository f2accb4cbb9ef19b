-- How long prompts and answers are, and how many calls use tools or the caller's own key.
ALTER TABLE tokenmeter.calls_by_minute
    ADD COLUMN IF NOT EXISTS byok Int64 COMMENT 'Calls with the caller''s own key' AFTER throughput_states,
    ADD COLUMN IF NOT EXISTS with_tools Int64 COMMENT 'Calls in which the model called a tool' AFTER byok,
    ADD COLUMN IF NOT EXISTS input_states AggregateFunction(quantilesBFloat16(0.5, 0.9, 0.99), Int64) COMMENT 'Quantiles of a call''s input tokens, to be read with quantilesBFloat16Merge(0.5, 0.9, 0.99)' AFTER with_tools,
    ADD COLUMN IF NOT EXISTS output_states AggregateFunction(quantilesBFloat16(0.5, 0.9, 0.99), Int64) COMMENT 'Quantiles of a call''s output tokens, to be read likewise' AFTER input_states
