"""One machine running everything, and the ``tokenmeter`` command.

Owns: settings, the local Kafka and ClickHouse, the supervisor, the command line, the audit.
Promises: what it starts it stops; passwords stay in one 0600 file; a part given by URL is used, not started.
Must never: be imported by another package, or print a secret in a log.
"""
