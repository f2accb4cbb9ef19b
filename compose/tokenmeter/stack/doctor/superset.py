"""What is looked at of Superset: whether it answers, and takes the login with which boards are published."""

from __future__ import annotations

import httpx

from tokenmeter.stack.doctor.finding import Finding

ANSWER_S = 10.0


def superset(url: str, user: str, password: str) -> list[Finding]:
    """Ask it."""
    mend = "tokenmeter up, or correct TOKENMETER_SUPERSET_URL"
    login = {"username": user, "password": password, "provider": "db"}
    try:
        with httpx.Client(base_url=url, timeout=ANSWER_S, trust_env=False) as client:
            health = client.get("/health")
            if not health.is_success:
                return [Finding("superset", False, f"{url} says HTTP {health.status_code}", mend)]
            entered = client.post("/api/v1/security/login", json=login)
    except httpx.HTTPError as error:
        return [Finding("superset", False, f"{url} does not answer: {error}", mend)]
    if not entered.is_success:
        said = f"{url} refuses the user {user!r}: HTTP {entered.status_code}"
        return [Finding("superset", False, said, "correct TOKENMETER_SUPERSET_USER and _PASSWORD")]
    return [Finding("superset", True, f"{url} takes the user {user!r}")]
