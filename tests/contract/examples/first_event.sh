curl -sS --fail-with-body http://127.0.0.1:19093/v1/events -H 'Content-Type: application/json' -d '{
  "event_id": "'$(cat /proc/sys/kernel/random/uuid)'", "occurred_at": "'$(date -u +%FT%TZ)'", "customer_id": "acme",
  "model": "openai/gpt-4o", "provider": "openai", "input_tokens": 120, "output_tokens": 8}'
