"""The Faust workers: what happens between one Kafka topic and the next.

Owns: the batch transport, the page engine, the columnar core (decode, judge, dedup, totals) and the apps of them.
Promises: state, outputs and position commit in one Kafka transaction; after any crash a page happened or never did.
Must never: loop in Python over events, commit outside a page's transaction, or go on after a fence or a gap.
"""
