-- Corrections are among a page's events but are not calls: lines add up to events - corrections + corrected_calls.
ALTER TABLE tokenmeter.usage_pages
    ADD COLUMN IF NOT EXISTS corrections Int64 AFTER events,
    ADD COLUMN IF NOT EXISTS corrected_calls Int64 AFTER corrections
