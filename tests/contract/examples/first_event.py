from datetime import UTC, datetime
from uuid import uuid4

from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent

call = {"customer_id": "acme", "model": "openai/gpt-4o", "provider": "openai", "input_tokens": 120, "output_tokens": 8}
with Emitter("127.0.0.1:19092") as emitter:  # on leaving, Kafka has every event, or Undelivered says how many it lacks
    emitter.emit(UsageEvent(event_id=str(uuid4()), occurred_at=datetime.now(UTC), **call))
