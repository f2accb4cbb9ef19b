"""The audit: counts the log again, without the meter's code, and compares it with everything derived from it.

Owns two recounts that know nothing of each other's means: a columnar one that says whether a page agrees, and a slow
obvious one (``reference``) that judges doubtful values and names what differs. Both take what a call is charged from
``charges``, the contract's page of pricing word for word, by the catalog offset that each page names. Compares the
events, usage.pages, the lines of usage.billing, usage.market and usage.resale, usage.quarantine and ClickHouse, and
checks the chain of pages and the sources' numbers.
Holds the ledger to the same: a page's CHARGE entries are what its lines call for, and every account is booked again
from ledger.entries by ``ledger``, which knows nothing of the ledger's code, and compared with account.state.
Promises to name the first page, or account, and field that differ, whatever the size of the log, in bounded memory.
Must never share code with the meter: only the contract, its accept rule, its line keys, its price ids and its digest.
"""

from tokenmeter.audit.partition import AuditSources
from tokenmeter.audit.report import AuditReport
from tokenmeter.audit.run import AuditOptions, run

__all__ = ["AuditOptions", "AuditReport", "AuditSources", "run"]
