-- Pages are merged ten at a time and in larger blocks: half of what loading costs was to merge a few of them again and again.
-- Readers say FINAL and find some thirty parts a day instead of a dozen.
ALTER TABLE tokenmeter.usage_events
    MODIFY SETTING min_parts_to_merge_at_once = 10, merge_max_block_size = 32768
