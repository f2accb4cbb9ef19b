"""The Faust workers: what happens between one Kafka topic and the next.

Owns: the batch transport, the page engine, the columnar core (decode, validate, dedup, totals) and the apps of them.
Promises: state, outputs and position commit in one Kafka transaction; after any crash a page happened or never did.
Must never: loop in Python over events, commit outside a page's transaction, or go on after a fence or a gap.
"""

import os

# Both are read when polars is first imported. Partitions are worked side by side, so threads of polars' own only take
# each other's cores (4.5 us of CPU per event with two of them, 3.8 with one, over 3 M events); and memory that a batch
# gives back is wanted again by the next one, of whatever partition: kept for a few seconds, in one arena for all. (Four
# partitions of 1 M events at once peak at 930 MB with an arena a thread and a minute, at 730 MB so; CPU within noise.)
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:5000,narenas:1")
