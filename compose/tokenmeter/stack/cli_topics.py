"""The verb ``topics``: creates the topics and verifies them."""

from __future__ import annotations

from tokenmeter.stack.places import kafka
from tokenmeter.stack.settings import load
from tokenmeter.stack.terminal import DataOption, say
from tokenmeter.stack.topics import ensure_topics, register_schemas

EXAMPLES = "Example: tokenmeter topics"


def topics(data: DataOption = None) -> None:
    """Create the topics that are missing and verify the others."""
    settings = load(data=data)
    created = ensure_topics(kafka(settings), settings.partitions, settings.replication)
    schemas = register_schemas(settings.registry_url)
    say(f"created: {', '.join(created) or 'nothing'}; every topic is as it must be")
    if settings.registry_url is not None:
        say(f"the registry holds {schemas} schemas under the ids that tokenmeter writes")
