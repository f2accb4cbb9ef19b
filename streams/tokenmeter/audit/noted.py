"""Notes in ClickHouse that an audit ran, for the board; the report itself needs no note."""

from __future__ import annotations

from datetime import datetime

from clickhouse_connect.driver.client import Client

from tokenmeter.audit.report import AuditReport

TABLE = "tokenmeter.audit_runs"


def note(client: Client, report: AuditReport, finished_at: datetime) -> None:
    """One row more. Raises what the client raises: a user who only reads cannot note."""
    row = {
        "finished_at": finished_at,
        "ok": report.ok,
        "pages": report.pages,
        "events": report.events,
        "lost_offsets": report.lost_offsets,
        "missing_events": report.sequences.missing,
        "difference": str(report.difference or ""),
        "seconds": report.seconds,
    }
    client.insert(TABLE, [list(row.values())], column_names=list(row))
