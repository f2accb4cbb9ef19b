"""The HTTP gateway: ``POST /v1/events`` answers 202 once Kafka has acknowledged every event of the request.

Owns: keys and what they may do, limits, bodies, CloudEvents, the OpenAPI document; the routes are in README.md.
Promises: what was answered 202 is in Kafka; a key speaks of its own customer alone; a revoked key is refused within a
second; of a request with a bad event nothing is sent, unless the caller asks for the good ones.
Must never: answer 202 for what Kafka has not acknowledged, keep a key's secret, or drop what it accepted.

``POST /v1/events`` asks nobody for credit: what it takes has happened; refused, it would be used all the same and
charged to nobody.
"""

from tokenmeter.emit.gateway.app import Parts, make_app
from tokenmeter.emit.gateway.serve import GatewayConfig, run

__all__ = ["GatewayConfig", "Parts", "make_app", "run"]
