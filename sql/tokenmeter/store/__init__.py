"""ClickHouse: where usage is kept and asked for.

Owns: the tables and views (numbered SQL migrations), the one client, the embedded server for a single machine.
Promises: inserting a page twice equals once; a production ClickHouse server is just another URL.
Must never: build DDL in Python, know Kafka, or let two processes open one data directory.
"""

from tokenmeter.events.errors import Fatal, Misconfigured

__all__ = ["Fatal", "Misconfigured"]
