"""Tells from LiteLLM's metadata whose a call is: in the library the caller says so, in the proxy the virtual key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def from_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The library's: whatever the caller put under ``tokenmeter``."""
    told = metadata.get("tokenmeter")
    return told if isinstance(told, Mapping) else {}


def from_virtual_key(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The proxy's: what the proxy found of the key, which a caller cannot choose."""
    customer = (f"user_api_key_{name}" for name in ("org_id", "team_id", "user_id", "hash"))
    told = {
        "customer_id": next((metadata[name] for name in customer if metadata.get(name)), None),
        "project_id": metadata.get("user_api_key_project_id") or metadata.get("user_api_key_team_id"),
        "api_key_id": metadata.get("user_api_key_hash"),
        "end_user_id": metadata.get("user_api_key_end_user_id"),
    }
    return {name: str(value) for name, value in told.items() if value}
