"""The detector of ``watch``: a spike against a subject's own habit, for all subjects at once, in numpy alone.

    bucket of values ─► size ─► level × season = expectation ─► residual ─► tail ──┐
                                                        ├─► slow burn, drop ───────┼─► episodes ─► group ─► alerts
                                                        ├─► silence ───────────────┤
                                                        └─► newcomers ─────────────┘

Nothing here knows of Kafka, a clock or a file. ``detector`` runs one measure (calls, tokens, spend, errors of calls …)
of all subjects; each other file is one box of the picture and holds its formula. The same buckets give the same bits:
see ``exact``.
"""
