"""The verb ``topics``: creates the topics and verifies them."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, say
from tokenmeter.cli.topics_grow import GROW_EXAMPLE, grow
from tokenmeter.stack.roles import give_rights
from tokenmeter.stack.topics import ensure_topics, register_schemas

EXAMPLES = "Examples: tokenmeter topics · tokenmeter topics --acls · tokenmeter topics grow 8"

app = typer.Typer(invoke_without_command=True, epilog=EXAMPLES)
app.command(name="grow", epilog=GROW_EXAMPLE)(grow)


@app.callback()
def topics(
    context: typer.Context,
    data: DataOption = None,
    rights: Annotated[
        bool, typer.Option("--acls", help="also give the users workers, gateway, producer and reader their rights")
    ] = False,
) -> None:
    """Create the topics that are missing and verify the others; or grow usage.events."""
    if context.invoked_subcommand is not None:
        return
    settings = load(data=data)
    client = kafka(settings)
    created = ensure_topics(client, settings.partitions, settings.replication)
    schemas = register_schemas(settings.registry_url)
    say(f"created: {', '.join(created) or 'nothing'}; every topic is as it must be")
    if rights:
        say(f"{give_rights(client)} rules say what each user may do")
    if settings.registry_url is not None:
        say(f"the registry holds {schemas} schemas under the ids that tokenmeter writes")
