"""The page engine: batches of one partition in, one transaction out.

Owns: the page's bounds, the steps of owning a partition and of committing a page, and who performs them on Kafka.
Promises: outputs, state and position of a page commit together; only the next contiguous offset is ever taken.
Must never: know what an app makes of its records, or go on after a fence or a gap.
"""
