import sys
from collections import Counter

from confluent_kafka import Consumer, KafkaException

from tokenmeter.events import decode
from tokenmeter.events.access import client_of

settings = {"bootstrap.servers": sys.argv[1], "group.id": "my-billing", "auto.offset.reset": "earliest"}
settings |= client_of(sys.argv[1], "reader")  # the password, from TOKENMETER_KAFKA_* or the stack of this directory
consumer = Consumer({**settings, "isolation.level": "read_committed", "enable.auto.commit": False})
consumer.subscribe(["usage.billing"])
tokens: Counter[str] = Counter()
while message := consumer.poll(10):  # ends when nothing came for ten seconds
    if message.error():
        raise KafkaException(message.error())
    line = decode(message.value()).record  # one line per page, customer, key, model and hour; each exactly once
    tokens[line["customer_id"]] += line["input_tokens"] + line["output_tokens"]
print(dict(tokens))
