"""Which Host headers a gateway without keys answers: its own addresses alone.

A page of evil.example can let its name resolve to 127.0.0.1 (DNS rebinding); the browser then posts here and takes it
for evil.example, and says so in the Host header. With keys that page has none, so any Host will do.
"""

from __future__ import annotations

import ipaddress

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether an address to serve is this machine's own alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def name_of(header: str) -> str:
    """The host of a Host header, without its port and brackets."""
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if header.count(":") == 1 else header


def is_ours(header: str, bound: str) -> bool:
    """Whether a request with this Host header meant the gateway that serves ``bound``."""
    name = name_of(header)
    return name in LOOPBACK or name == bound.lower()
