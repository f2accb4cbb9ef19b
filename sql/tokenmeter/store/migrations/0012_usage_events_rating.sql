-- The rating a CORRECTION carries: that of what it corrects. Null in every row loaded before, and in every USAGE event.
ALTER TABLE tokenmeter.usage_events
    ADD COLUMN IF NOT EXISTS rating Nullable(String) AFTER context_bucket
