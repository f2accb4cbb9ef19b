"""One alert to one endpoint: the body, the signature, and how often it is tried.

The receiver is sent JSON with three headers:

    Tokenmeter-Timestamp   seconds since 1970 at which this try was made; refuse what is older than some minutes
    Tokenmeter-Signature   v1=HEX, the HMAC-SHA256 of TIMESTAMP.BODY with the shared secret
    Idempotency-Key        the alert_id: the same alert may come more than once

Any answer of 2xx takes the alert off the list; anything else, or none, and it is tried again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from tokenmeter.events.errors import Transient
from tokenmeter.events.ledger import Alert

TIMESTAMP_HEADER = "Tokenmeter-Timestamp"
SIGNATURE_HEADER = "Tokenmeter-Signature"
ID_HEADER = "Idempotency-Key"
TRY_S = 10.0
"""How long an endpoint may take to answer."""
RETRY_S = 60.0
"""How long one alert is tried before the caller is told. Less than Kafka lets a consumer be silent."""
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 20.0
_MARKS = {"INFO": ":information_source:", "WARNING": ":warning:", "CRITICAL": ":rotating_light:"}


def body(alert: Alert) -> bytes:
    """The alert as JSON; amounts as text, so that no reader rounds them."""
    return json.dumps(alert.model_dump(mode="json"), separators=(",", ":")).encode()


def slack_body(alert: Alert) -> bytes:
    """What Slack's incoming webhooks, and those that copy them, take."""
    mark = ":white_check_mark:" if alert.state == "RESOLVED" else _MARKS[alert.severity]
    return json.dumps({"text": f"{mark} {_escaped(alert.sentence)}"}).encode()


def _escaped(text: str) -> str:
    """Slack's three control characters: an account's name must not mention a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def signature(secret: bytes, timestamp: int, content: bytes) -> str:
    """The value of SIGNATURE_HEADER."""
    return "v1=" + hmac.new(secret, b"%d." % timestamp + content, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Endpoint:
    """Where alerts go. Without a secret nothing is signed. ``client`` waits TRY_S; ``clock``: seconds since 1970."""

    url: str
    secret: bytes | None
    client: httpx.Client
    clock: Callable[[], float]
    slack: bool = False

    @retry(
        retry=retry_if_exception_type(Transient),
        wait=wait_exponential_jitter(multiplier=RETRY_FIRST_S, max=RETRY_MAX_S),
        stop=stop_after_delay(RETRY_S),
        reraise=True,
    )
    def deliver(self, alert: Alert) -> None:
        """Return once the endpoint has taken the alert; Transient when it has not within RETRY_S."""
        content = slack_body(alert) if self.slack else body(alert)
        headers = {"Content-Type": "application/json", ID_HEADER: alert.alert_id}
        if self.secret is not None:
            timestamp = int(self.clock())
            headers |= {
                TIMESTAMP_HEADER: str(timestamp),
                SIGNATURE_HEADER: signature(self.secret, timestamp, content),
            }
        try:
            answer = self.client.post(self.url, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise Transient(f"no answer: {type(error).__name__}") from error  # its text may show the URL, a secret
        if not answer.is_success:
            raise Transient(f"HTTP {answer.status_code}")
