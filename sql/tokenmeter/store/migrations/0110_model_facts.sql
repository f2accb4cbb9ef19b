-- What is known of a model by the name a call may bear: its full name (openai/gpt-4o) or, where one author has it, its
-- slug alone (gpt-4o). 'author/' says what is known of every model of that author. Countries are ISO 3166 codes, '--'
-- where unknown. Of several rows of a name the one with the greatest revision counts.
CREATE TABLE IF NOT EXISTS tokenmeter.model_facts
(
    name           String,
    author         String,
    author_country LowCardinality(String),
    open_weights   Nullable(Bool),
    context_tokens Nullable(Int64),
    revision       Int64
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY name
