-- The topics that the tables were loaded from.
SELECT topic, topic_id
FROM tokenmeter.loaded_topics FINAL
