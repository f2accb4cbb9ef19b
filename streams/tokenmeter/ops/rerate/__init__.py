"""Re-rating: what calls would be charged by the catalog as it is known now, and booking the difference as CORRECTIONs.

Owns the comparison of each page's usage, as rated and corrected so far, with a new rating of its raw events, and what
is booked for a difference; why by page and in one transaction is in 0001-move-usage-between-ratings.md.
Promises that tokens and calls stay what they are, and that doing it twice, or beside itself, or again after it was
killed, ends in the same charges. Must never edit a line, an event or a price.
"""

from tokenmeter.ops.rerate.run import Options, Report, rerate

__all__ = ["Options", "Report", "rerate"]
