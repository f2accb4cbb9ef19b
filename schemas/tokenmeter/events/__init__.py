"""The contract every part of tokenmeter speaks.

Owns: the Avro schemas, the pydantic models, the wire format, the topics, and the rules an event must pass.
Promises: what is encoded here can be decoded by any Confluent-compatible reader, and by every later version.
Must never: import another tokenmeter package, talk to Kafka, or carry a prompt, a completion or personal data.
"""

from tokenmeter.events.contract import COUNT_FIELDS, QUANTITY_FIELDS, TOKEN_FIELDS
from tokenmeter.events.errors import Fatal, Poison, TokenmeterError, Transient
from tokenmeter.events.models import UsageEvent
from tokenmeter.events.wire import decode, encode

__all__ = [
    "COUNT_FIELDS",
    "QUANTITY_FIELDS",
    "TOKEN_FIELDS",
    "Fatal",
    "Poison",
    "TokenmeterError",
    "Transient",
    "UsageEvent",
    "decode",
    "encode",
]
