"""The Faust workers: what happens between one Kafka topic and the next.

Owns: the batch transport, the page engine, the columnar core (decode, judge, dedup, totals) and the apps of them.
Promises: state, outputs and position commit in one Kafka transaction; after any crash a page happened or never did.
Must never: loop in Python over events, commit outside a page's transaction, or go on after a fence or a gap.
"""

import os

# Partitions are worked side by side, so threads of polars' own only take each other's cores: 4.5 us of CPU per event
# with two of them, 3.8 with one. It reads this when it is first imported.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
