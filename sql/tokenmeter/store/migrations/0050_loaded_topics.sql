-- Pages and raw events are named by partition and offset. A topic that is deleted and made anew begins at offset 0 again
-- and would replace old pages by new ones, so the loader remembers which topic it loaded and refuses another.
CREATE TABLE IF NOT EXISTS tokenmeter.loaded_topics
(
    topic    String COMMENT 'Name of the topic',
    topic_id String COMMENT 'The id Kafka gave it when it was made',
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When a loader first saw it'
)
ENGINE = ReplacingMergeTree
ORDER BY topic
COMMENT 'Which topics the tables were loaded from'
