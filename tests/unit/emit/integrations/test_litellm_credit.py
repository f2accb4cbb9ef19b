"""What LiteLLM's proxy asks of the cache before a call. No LiteLLM: a contract test has the real one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tokenmeter.emit.credit.answer import OK, Answer
from tokenmeter.emit.integrations.litellm_credit import CreditGate, CreditRefused, key_metadata

CALL = {"customer_id": "c", "api_key_id": "k", "project_id": "p", "end_user_id": "u"}


class Credit:
    """Allows what is free, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def allowed(self, *named: Any, free: bool) -> Answer:
        self.asked.append((*named, free))
        return OK if free else Answer(False, "exhausted", "distributor")


def gate(credit: Credit, **settings: Any) -> CreditGate:
    made: Any = credit
    return CreditGate(made, **settings)


def test_a_call_without_credit_is_402_with_the_reason_and_without_the_account_above() -> None:
    credit = Credit()
    with pytest.raises(CreditRefused) as refused:
        gate(credit).check(CALL, "openai/gpt-4o")
    assert (refused.value.status_code, refused.value.message) == (402, "payment required: exhausted")
    assert (refused.value.reason, refused.value.account) == ("exhausted", "distributor")
    assert credit.asked == [("c", "k", "p", "openai/gpt-4o", "u", False)]


def test_free_models_need_no_credit_unless_policy_says_so() -> None:
    gate(Credit()).check(CALL, "deepseek/deepseek-r1:free")
    with pytest.raises(CreditRefused):
        gate(Credit(), free_models_allowed=False).check(CALL, "deepseek/deepseek-r1:free")


def test_a_call_of_nobody_is_asked_of_nobody() -> None:
    credit = Credit()
    gate(credit).check({"project_id": "p"}, "m")
    assert credit.asked == []


def test_a_key_is_named_as_in_the_event_of_its_call() -> None:
    key = SimpleNamespace(api_key="hash", org_id="o", team_id="t", user_id=None, end_user_id="e", key_alias="alias")
    assert key_metadata(key) == {
        "user_api_key_hash": "hash",
        "user_api_key_org_id": "o",
        "user_api_key_team_id": "t",
        "user_api_key_user_id": None,
        "user_api_key_project_id": None,
        "user_api_key_end_user_id": "e",
    }
    key.is_session_token = True
    assert key_metadata(key)["user_api_key_hash"] == "alias"
