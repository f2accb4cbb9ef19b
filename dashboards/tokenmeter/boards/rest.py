"""Superset's REST API with a login: what is sent, and what an answer that is no success means."""

from __future__ import annotations

from typing import Any, Self

import httpx
from tenacity import (
    RetryCallState,
    retry,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_fixed,
    wait_random,
)

from tokenmeter.store import Fatal, Misconfigured

TIMEOUT_S = 60.0
PAGE_SIZE = 100
ATTEMPTS = 3
ATTEMPTS_WHEN_BUSY = 10
THREADS = 4
"""Requests at once where several are independent; Superset on one machine serves as many."""


def _last_answer(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()


class Rest:
    """One logged-in session. Raises Misconfigured for a wrong URL or password, Fatal for anything refused."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(base_url=self._url, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        try:
            self._log_in(user, password)
        except BaseException:
            self._http.close()
            raise

    def _log_in(self, user: str, password: str) -> None:
        answer = self._send(
            "POST", "security/login", {"username": user, "password": password, "provider": "db", "refresh": False}
        )
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Misconfigured(
                f"Superset at {self._url} refuses user {user}: wrong name or password", hint="tokenmeter status --json"
            )
        self._http.headers["Authorization"] = f"Bearer {self._checked(answer, 'login')['access_token']}"
        self._http.headers["X-CSRFToken"] = self.get("security/csrf_token/")["result"]
        self._http.headers["Referer"] = self._url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def get(self, path: str, **params: str) -> dict[str, Any]:
        return self._checked(self._send("GET", path, params=params), f"GET {path}")

    def post(self, path: str, body: Any) -> dict[str, Any]:
        return self._checked(self._send("POST", path, body), f"POST {path}")

    def put(self, path: str, body: Any) -> dict[str, Any]:
        return self._checked(self._send("PUT", path, body), f"PUT {path}")

    def delete(self, path: str) -> None:
        self._checked(self._send("DELETE", path), f"DELETE {path}")

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Every object of a kind (database, dataset, chart, dashboard)."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(f"{kind}/", q=f"(page:{len(found) // PAGE_SIZE},page_size:{PAGE_SIZE})")
            found += page["result"]
            if len(found) >= page["count"] or not page["result"]:
                return found

    @retry(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_fixed(1.0),
        reraise=True,
    )
    @retry(
        # Superset answers 50 requests a second; a fast machine asks more.
        retry=retry_if_result(lambda answer: answer.status_code == httpx.codes.TOO_MANY_REQUESTS),
        stop=stop_after_attempt(ATTEMPTS_WHEN_BUSY),
        wait=wait_random(0.5, 1.5),
        retry_error_callback=_last_answer,
    )
    def _attempt(self, method: str, path: str, body: Any, params: dict[str, str] | None) -> httpx.Response:
        return self._http.request(method, f"/api/v1/{path}", json=body, params=params)

    def _send(self, method: str, path: str, body: Any = None, params: dict[str, str] | None = None) -> httpx.Response:
        try:
            return self._attempt(method, path, body, params)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Misconfigured(
                f"Superset at {self._url} does not answer: {error}", hint="check TOKENMETER_SUPERSET_URL"
            ) from error

    def _checked(self, answer: httpx.Response, what: str) -> dict[str, Any]:
        if not answer.is_success:
            raise Fatal(f"Superset answered {answer.status_code} to {what}: {answer.text[:500]}")
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise Fatal(f"Superset's answer to {what} is no JSON: {answer.text[:200]}") from error
        return found
