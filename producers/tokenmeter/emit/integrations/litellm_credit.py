"""Asks, before LiteLLM's proxy makes a call, whether its customer may: what the answer refuses is 402 to the caller."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tokenmeter.emit.credit import CreditCache

log = logging.getLogger("tokenmeter.credit")

PAYMENT_REQUIRED = 402
_FREE = ":free"
"""How a model's name ends that costs nothing, as OpenRouter writes it."""
_KEY_FIELDS = ("org_id", "team_id", "user_id", "project_id", "end_user_id")
"""What the proxy knows of a virtual key, which its metadata of a call calls user_api_key_NAME."""


class CreditRefused(Exception):
    """A call that was not made. The proxy answers with ``status_code`` and ``message``, both by these names."""

    status_code = PAYMENT_REQUIRED

    def __init__(self, reason: str, account: str | None) -> None:
        self.reason, self.account = reason, account
        # The account stays out of it: a customer need not know who stands above him.
        self.message = f"payment required: {reason}"
        super().__init__(self.message)


class CreditGate:
    """``free_models_allowed``: a model whose name ends in ``:free`` needs no credit, only an account that is open."""

    def __init__(self, credit: CreditCache, free_models_allowed: bool = True) -> None:
        self._credit = credit
        self._free_models_allowed = free_models_allowed

    def check(self, attributes: Mapping[str, Any], model: Any) -> None:
        """Raise CreditRefused if the call may not be made. ``attributes``: those of its event. Budgets of models are
        asked by the name that was asked for, since nobody has served yet. Without a customer there is nobody to ask."""
        customer = attributes.get("customer_id")
        if not customer:
            return
        name = model if isinstance(model, str) else None
        answer = self._credit.allowed(
            str(customer),
            attributes.get("api_key_id"),
            attributes.get("project_id"),
            name,
            attributes.get("end_user_id"),
            free=self._free_models_allowed and name is not None and name.endswith(_FREE),
        )
        if not answer.allowed:
            log.info("refused a call of %s: %s of %s", customer, answer.reason, answer.account)
            raise CreditRefused(answer.reason, answer.account)


def key_metadata(key: Any) -> dict[str, Any]:
    """What the proxy found of a virtual key, named as in its metadata of a call."""
    found = {f"user_api_key_{name}": getattr(key, name, None) for name in _KEY_FIELDS}
    alias = getattr(key, "key_alias", None) if getattr(key, "is_session_token", False) else None
    return {**found, "user_api_key_hash": alias or getattr(key, "api_key", None)}
