"""From what a provider answers to what we count: pure functions, a file for each shape of an answer.

    usage = normalise("anthropic", message)      # a client's object, or the JSON
    usage = gather("openai", chunks)             # a stream

Owns: every shape in which usage is told, who speaks it, and what it means in our token classes.
Promises: the body decides how it is read, and a body of another family is refused by name; input includes cached and
cache-write tokens, output includes reasoning, the accept rule holds; or an error. One odd detail costs no event: it is
clamped, and named in the notes.
Must never: make a zero of what is missing, keep any text of a response, or import a provider's client.
"""

from tokenmeter.emit.usage.families import FAMILIES, PROVIDERS, Family, family
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.registry import fold, gather, normalise

__all__ = ["FAMILIES", "PROVIDERS", "Family", "Usage", "family", "fold", "gather", "normalise"]
