"""Waits until a child answers over HTTP, or says why it will not."""

from __future__ import annotations

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.children import Child

HEALTH_TIMEOUT_S = 60.0


@retry(
    retry=retry_if_exception_type(httpx.HTTPError),
    stop=stop_after_delay(HEALTH_TIMEOUT_S),
    wait=wait_fixed(0.1),
    reraise=True,
)
def _answers(child: Child, url: str) -> None:
    if not child.is_alive():
        tail = child.log_tail()
        raise Fatal(f"{child.name} ended while starting; its log ends with: {tail}", hint=f"see {child.log}")
    # Plain HTTP of this machine: reading every certificate at each try is 30 ms of the CPU that the child starts with.
    httpx.get(url, timeout=2, trust_env=False, verify=False).raise_for_status()


def wait_healthy(child: Child, url: str) -> None:
    """Until ``url`` answers. Raises Fatal with the end of the child's log when it ends or stays silent."""
    try:
        _answers(child, url)
    except httpx.HTTPError as error:
        raise Fatal(f"{child.name} did not answer at {url}: {error}", hint=f"see {child.log}") from error
