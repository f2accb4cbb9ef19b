"""Verbs of the command, each imported when it is asked for: a command starts in a tenth of a second, and one whose
Python packages are not installed says which extra of tokenmeter brings them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main
from rich.markup import escape

from tokenmeter.events.errors import Misconfigured


@dataclass(frozen=True)
class Verb:
    """``target`` is ``MODULE:FUNCTION`` or ``MODULE:app`` (a typer.Typer) of tokenmeter.cli.

    ``extra`` is what brings the packages it imports; ``epilog`` its example, unless the module has EXAMPLES.
    """

    target: str
    epilog: str | None = None
    extra: str = "local"

    def command(self, name: str) -> Any:
        """Its command, imported now; or one that says what is not installed."""
        module_name, _, attribute = self.target.partition(":")
        try:
            module = import_module(f"tokenmeter.cli.{module_name}")
        except ModuleNotFoundError as missing:
            if (missing.name or "").startswith("tokenmeter"):
                raise
            return _needing(name, self.extra, missing.name or "")
        made = getattr(module, attribute)
        if isinstance(made, typer.Typer):
            return typer.main.get_command(made)
        alone = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        alone.command(name, epilog=self.epilog or getattr(module, "EXAMPLES", None))(made)
        return typer.main.get_command(alone)


def not_installed(verb: str, extra: str, package: str) -> Misconfigured:
    """What is said of a verb whose packages are missing."""
    return Misconfigured(
        f"tokenmeter {verb} needs the Python package {package}, which is not installed",
        hint=f"pip install 'tokenmeter[{extra}]'",
    )


def _needing(name: str, extra: str, package: str) -> Any:
    alone = typer.Typer(add_completion=False)
    takes_all = {"ignore_unknown_options": True, "allow_extra_args": True}

    @alone.command(name, help=escape(f"(not installed: pip install 'tokenmeter[{extra}]')"), context_settings=takes_all)
    def tell() -> None:
        raise not_installed(name, extra, package)

    return typer.main.get_command(alone)


class Verbs(MutableMapping[str, Any]):
    """Commands by name, made when they are asked for."""

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self._verbs = verbs
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            command = self._verbs[name].command(name)
            command.name = name
            self._made[name] = command
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._verbs, *self._made)))

    def __len__(self) -> int:
        return len({*self._verbs, *self._made})

    def __contains__(self, name: object) -> bool:
        return name in self._verbs or name in self._made


def group_of(verbs: Mapping[str, Verb]) -> type[typer.core.TyperGroup]:
    """A group of these, for typer.Typer(cls=...)."""

    class Group(typer.core.TyperGroup):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.commands = Verbs(verbs)

    return Group
