"""Reconcile: finds what was metered again beyond the dedup horizon and takes it off the lines with CORRECTION events.

Owns the comparison of each page's lines with the raw events of its offsets, and what is emitted for a difference; why
it is done by page is in 0001-lines-minus-raw-by-page.md. Promises that running it twice, or beside itself, or again
after it was killed, ends in the same totals. Must never edit or delete a line, an event or a page.
"""

from tokenmeter.ops.reconcile.run import Report, Sources, run

__all__ = ["Report", "Sources", "run"]
