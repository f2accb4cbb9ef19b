SELECT 1 FROM tokenmeter.usage_pages LIMIT 1
