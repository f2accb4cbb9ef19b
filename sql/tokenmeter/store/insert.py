"""Inserts a page of rows as one ArrowStream request, retried while the network or the server is away."""

from __future__ import annotations

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from tokenmeter.events.errors import Fatal, Refused, Transient
from tokenmeter.store.lean import lean

RETRY_FOR_S = 60.0
"""Longer outages end the worker; it resumes at its last committed page."""
RETRY_WAIT_MAX_S = 5.0
OF_VALUES = frozenset((6, 26, 27, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 407, 691))
"""Codes of errors that a value makes: it cannot be parsed or converted, is out of range, too long or null."""
TOO_MANY_PARTS = 252
"""Also said of one insert whose rows lie in too many months."""
PATIENCE = frozenset((159, 202, 209, 241, 243))
"""Of a server that is short of time, threads, memory or disk at present."""
SETTINGS = {"async_insert": 0, "distributed_foreground_insert": 1, "optimize_on_insert": 0}
"""The answer must mean that the rows are durable, on a cluster too. Whoever reads says FINAL, so that rows need not be
merged with those of their own insert as well: it was half of what one costs (770 and 420 ms CPU for 100 000 events)."""


@retry(
    retry=retry_if_exception_type(Transient),
    stop=stop_after_delay(RETRY_FOR_S),
    wait=wait_exponential_jitter(multiplier=0.1, max=RETRY_WAIT_MAX_S),
    reraise=True,
)
def insert_arrow(client: Client, table: str, rows: pa.Table) -> None:
    """Insert ``rows`` into ``table`` and return once they are durable. Repeating it changes nothing.

    Raises Transient when the server stayed away for RETRY_FOR_S, Refused when it refused the rows for their values,
    Fatal when it refused them for anything else.
    """
    try:
        client.insert_arrow(table, lean(rows), settings=SETTINGS)
    except OperationalError as error:
        # Of the client's database errors this one alone says that the server was not reached, or asked for patience.
        raise Transient(f"ClickHouse did not take {rows.num_rows} rows for {table}: {error}") from error
    except DatabaseError as error:
        why = f"{rows.num_rows} rows for {table}: {str(error).splitlines()[0][:500]}"
        if error.code in PATIENCE:
            raise Transient(f"ClickHouse did not take {why}") from error
        message = f"ClickHouse refused {why}"
        if error.code in OF_VALUES or error.code == TOO_MANY_PARTS:
            raise Refused(message, by_row=error.code in OF_VALUES, hint="tokenmeter migrate") from error
        raise Fatal(message, hint="tokenmeter migrate") from error
    except (ClickHouseError, OSError) as error:
        raise Transient(f"ClickHouse did not take {rows.num_rows} rows for {table}: {error}") from error
