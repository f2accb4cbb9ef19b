"""What Kafka's client says is wrong with its brokers, for whoever is told that events did not arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError

from tokenmeter.events.access import HANGS_UP

_HEARD = "error_cb"
_ASKS = "; the brokers close the connection: they may ask for a user (TOKENMETER_KAFKA_USER)"


class Trouble:
    """The last error of the client that names a broker. Whatever the application listens with is told too."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self._hung_up = False
        self.is_name = False
        """Whether a broker's name could not be resolved, and nothing else was wrong so far."""

    def heard_by(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings with which a client tells of its errors here."""
        other = settings.get(_HEARD)

        def hear(error: KafkaError) -> None:
            self._hear(error)
            if other is not None:
                other(error)

        return {**settings, _HEARD: hear}

    def _hear(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN or HANGS_UP in error.str():
            self._hung_up = True
            return
        self.is_name = error.code() == KafkaError._RESOLVE and (self._last is None or self.is_name)
        self._last = error

    def told(self) -> str:
        """The cause as the end of a sentence, or nothing."""
        if self._last is None:
            return _ASKS if self._hung_up else ""
        return f"; {self._last.str()}"
