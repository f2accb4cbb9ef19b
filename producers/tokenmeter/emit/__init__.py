"""Where usage enters: the SDK, the trace replay and the generated calls.

Owns: the Emitter, trace formats, the generator of realistic calls.
Promises: an event is validated before it is sent, and flush() says how many did not arrive.
Must never: drop an accepted event silently, restamp its time, or make its id anew on a retry.
"""

from tokenmeter.emit.credit import CreditCache
from tokenmeter.emit.emitter import Emitter

__all__ = ["CreditCache", "Emitter"]
