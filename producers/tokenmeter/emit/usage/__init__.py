"""From what a provider answers to what we count: one pure function per provider family, one file each.

    usage = normalise("anthropic", message)      # a client's object, or the JSON
    usage = gather("openai", chunks)             # a stream

Owns: the shape of every provider's usage, and what it means in our token classes.
Promises: input includes cached and cache-write tokens, output includes reasoning, the accept rule holds; or an error.
Must never: make a zero of what is missing, keep any text of a response, or import a provider's client.
"""

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.registry import FAMILIES, PROVIDERS, Family, family, fold, gather, normalise

__all__ = ["FAMILIES", "PROVIDERS", "Family", "Usage", "family", "fold", "gather", "normalise"]
