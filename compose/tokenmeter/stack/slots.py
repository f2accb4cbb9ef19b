"""The workers of a local stack by name, and all that listens on a port there."""

from __future__ import annotations

from tokenmeter.cli.settings import Settings


def slot_name(verb: str, slot: int) -> str:
    """What the part is called: ``meter``, ``meter-2``."""
    return verb if slot == 1 else f"{verb}-{slot}"


def slots(settings: Settings) -> list[tuple[str, int]]:
    """Verb and slot of each worker."""
    counts = {"meter": settings.meters, "load": settings.loaders, "ledger": settings.ledgers}
    counts["watch"] = settings.watches
    return [(verb, slot) for verb, count in counts.items() for slot in range(1, count + 1)]


def port_names(settings: Settings) -> list[str]:
    """Of everything that may listen, what producers and readers use first."""
    several = [f"kafka-{number}" for number in range(1, settings.brokers + 1)]
    kafka = ["kafka"] if settings.brokers == 1 else several
    workers = [slot_name(*slot) for slot in slots(settings)]
    return [*kafka, "gateway", "clickhouse", "superset", *workers, *(f"{name}-controller" for name in kafka)]
