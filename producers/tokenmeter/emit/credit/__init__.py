"""Whether a call may be made, asked before it: the ledger's balances and the catalog's accounts in memory.

Owns: the cache, its answers and their fail modes.
Promises: an answer in about a microsecond, with the reason and the account that refuses, and how old it is.
Must never: call Kafka while it is asked, or refuse a customer for a reason that its fail mode allows.
"""

from tokenmeter.emit.credit.answer import ALLOW, FAIL_MODES, REFUSE, Answer, fail_modes
from tokenmeter.emit.credit.cache import CreditCache

__all__ = ["ALLOW", "FAIL_MODES", "REFUSE", "Answer", "CreditCache", "fail_modes"]
