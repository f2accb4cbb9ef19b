"""Supplier reconciliation: what an upstream says it charges against what our lines say it costs.

Owns: reading an upstream's usage export by a mapping, and the comparison by day, model and currency.
Promises: every amount is exact; amounts of two currencies are never added; a line that cannot be read is named.
Must never: write to Kafka, change a line, or call a difference a match because it did not look.
"""
