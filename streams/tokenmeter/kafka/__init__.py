"""What every client of Kafka shares: how it gets in, what it reads of a log, and how far groups have come.

Owns: one client configuration for confluent-kafka's clients and for Faust's (brokers, TLS, SASL), the one loop that
reads logs to their ends, the positions of consumer groups.
Promises: a client that is refused says so in one line; what is read is committed, and an end is the log's own.
Must never: know what a record means, or import a worker. The audit reads with it, and must share no code with them.
"""
