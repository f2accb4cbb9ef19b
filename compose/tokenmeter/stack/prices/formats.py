"""Which kind of price list a file is, told by its shape, and its rows."""

from __future__ import annotations

from pathlib import Path

from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices import json_lines, litellm_map, openrouter, table
from tokenmeter.stack.prices.litellm_map import Options
from tokenmeter.stack.prices.proposed import Parsed, read_text

LITELLM, OPENROUTER, CSV = "LiteLLM's price map", "OpenRouter's list of models", "CSV"


def read_price_list(path: Path, options: Options) -> tuple[str, Parsed]:
    """(kind, rows) of a price list. Misconfigured when the file is of no kind that is known."""
    text = read_text(path)
    file = str(path)
    if not text.lstrip().startswith(("{", "[")):
        return CSV, table.read_prices(text, file, options)
    document = json_lines.load(text, file)
    if litellm_map.is_litellm_map(document):
        if options.any_provider and len(options.providers) != 1:
            raise Misconfigured(
                "with --any-provider prices hold whoever serves, and two hosts may price one model differently",
                hint="name the one host whose prices these are: --provider openai",
            )
        return LITELLM, litellm_map.read_map(document, json_lines.lines_of_keys(text), file, options)
    if openrouter.is_openrouter_list(document):
        return OPENROUTER, openrouter.read_list(document, json_lines.lines_of_ids(text), file, options)
    raise Misconfigured(
        f"{file} is JSON, but neither LiteLLM's price map nor OpenRouter's list of models",
        hint="tokenmeter prices import --help tells where to get either, and the columns of a CSV file",
    )
