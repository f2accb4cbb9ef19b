"""``python -m tokenmeter.stack.audit``: a process of an audit, started by it; see ``worker``. Users run the verb."""

from tokenmeter.stack.audit.worker import serve

serve()
