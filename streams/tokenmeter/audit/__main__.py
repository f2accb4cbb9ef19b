"""``python -m tokenmeter.audit``: a process of an audit, started by it; see ``worker``. Users run the verb."""

from tokenmeter.audit.worker import serve

serve()
