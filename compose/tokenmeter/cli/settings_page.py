"""The page of the settings, made of their class: ``python -m tokenmeter.cli.settings_page > compose/SETTINGS.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tokenmeter.cli.settings import Settings

HEAD = """# Settings

Every verb reads these from the environment, or from `tokenmeter.toml` in the directory where it runs: there a name is
in small letters and without `TOKENMETER_`, as in `page_seconds = 2`. A variable goes before the file, an option of the
command before both. A name that is not here is refused in the file. Secrets are never printed.

This page is made of `compose/tokenmeter/cli/settings.py` by `python -m tokenmeter.cli.settings_page`.

| variable | default | what it is |
|---|---|---|
"""
_WORDS = ((Ge, "ge", "at least"), (Gt, "gt", "above"), (Le, "le", "at most"), (Lt, "lt", "below"))


def page() -> str:
    """The page as Markdown."""
    return HEAD + "\n".join(_row(name, field) for name, field in Settings.model_fields.items()) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    said = " ".join(" ".join(filter(None, (field.description, *_limits(field)))).split())
    return f"| `TOKENMETER_{name.upper()}` | {_default(field)} | {said} |"


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "not set (secret)" if SecretStr in get_args(field.annotation) else "not set"
    return f"`{field.default}`" if field.default != "" else "empty"


def _limits(field: FieldInfo) -> Iterator[str]:
    """What values it takes."""
    if get_origin(field.annotation) is Literal:
        yield f"One of {', '.join(f'`{one}`' for one in get_args(field.annotation))}."
    told = [
        f"{words} {getattr(one, name):,}"
        for one in _constraints(field)
        for kind, name, words in _WORDS
        if isinstance(one, kind)
    ]
    if told:
        yield f"{', '.join(told).capitalize()}."


def _constraints(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for one in get_args(field.annotation):
        for inner in getattr(one, "__metadata__", ()):
            yield from getattr(inner, "metadata", ())


if __name__ == "__main__":
    sys.stdout.write(page())
