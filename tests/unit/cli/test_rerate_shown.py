"""What ``tokenmeter rerate`` prints: differences in their currency, and what was left."""

from __future__ import annotations

import io
from datetime import datetime

from rich.console import Console

from tokenmeter.cli.rerate import _show
from tokenmeter.ops.rerate import Report
from tokenmeter.ops.rerate.judge import GONE
from tokenmeter.ops.rerate.report import Side


def shown(report: Report) -> str:
    out = io.StringIO()
    _show(report, Console(file=out, width=200))
    return out.getvalue()


def test_a_difference_is_shown_by_customer_model_and_currency() -> None:
    acme = ("acme", "b/two", "USD", "USD")
    report = Report(17, 120, moves=40)
    report.old = {acme: Side(1_200, 50, 3, 10**12, 5, 0), ("acme", "c", None, None): Side(10, 5, 3, 0, 0, 10)}
    report.new = {acme: Side(1_200, 50, 3, 10**12 + 1, 5, 0), ("acme", "c", "CNY", "USD"): Side(10, 5, 3, 7, 0, 0)}
    text = shown(report)
    assert " ".join(text.split()).count("1.000000000000 1.000000000001 +0.000000000001 USD") == 1
    assert "charge: +0.000000000001 USD" in text and "charge: +0.000000000007 CNY" in text
    assert "1,200" in text and "40 corrections would book it (next: tokenmeter rerate --apply)" in text


def test_what_is_left_is_named_with_its_reason() -> None:
    line = {"partition": 3, "first_offset": 7, "occurred_hour": datetime(2026, 11, 1, 5), "customer_id": "acme"}
    report = Report(17, 120, left={GONE: 12}, left_lines=[{**line, "model": "m", "calls": 12, "reason": GONE}])
    text = shown(report)
    assert "page:3@7 2026-11-01 05:00 acme m: 12 calls cannot be re-rated: raw events are older than 31 days" in text
    assert "every other call is charged as the catalog says" in text
    assert "every call is charged as the catalog says" in shown(Report())
