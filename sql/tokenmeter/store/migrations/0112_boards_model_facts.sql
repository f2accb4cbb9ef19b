-- Facts by the name a call may bear, in the words the charts use.
CREATE VIEW IF NOT EXISTS boards.model_facts AS
SELECT
    name,
    author,
    multiIf(
        author_country = 'CN', 'China',
        author_country = 'US', 'US',
        author_country IN ('', '--'), 'Unknown',
        'Others')                                          AS origin,
    multiIf(open_weights IS NULL, 'unknown', open_weights, 'open', 'closed') AS weights,
    context_tokens
FROM tokenmeter.model_facts FINAL
