"""The ``tokenmeter`` command: a file a verb, its settings, and where the parts are.

Owns: options, what is printed, and which client is handed to whom.
Promises: an error is one line that names the thing, the cause and the next command.
Must never: decide what a package below decides.
"""
