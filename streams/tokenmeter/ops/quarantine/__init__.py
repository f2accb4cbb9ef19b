"""The quarantine in a person's hands: what lies there and why, and how it is counted after all.

Owns: reading usage.quarantine, telling how far a damaged event can be read, putting events back.
Promises: a position is put back at most once, whatever is repeated, raced or killed (0001-release-by-transaction.md).
Must never: change an event's bytes, send what the accept rule refuses, or forge a correction.
"""
