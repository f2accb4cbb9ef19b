"""The ``tokenmeter`` command: its verbs by name, a file each, in the order in which ``--help`` lists them."""

from __future__ import annotations

import errno
import sys
from importlib.metadata import version as version_of
from typing import Annotated, NoReturn

import typer

from tokenmeter.cli.printable import printable
from tokenmeter.cli.terminal import make_console
from tokenmeter.cli.verbs import Verb, group_of, not_installed
from tokenmeter.events.errors import Misconfigured, TokenmeterError

VERBS = {
    "up": Verb("up:up"),
    "down": Verb("up:down", "Example: tokenmeter down"),
    "status": Verb("status:status"),
    "doctor": Verb("doctor:doctor"),
    "demo": Verb("demo:demo"),
    "usage": Verb("usage:show_usage"),
    "meter": Verb("meter:meter"),
    "ledger": Verb("ledger:ledger", "Example: tokenmeter ledger --slot 1"),
    "watch": Verb("watch:app"),
    "load": Verb("load:load_worker"),
    "gateway": Verb(
        "gateway:gateway",
        "Example: TOKENMETER_GATEWAY_KEYS=key-1,key-2 tokenmeter gateway --host 0.0.0.0",
        extra="gateway",
    ),
    "keys": Verb("keys:app"),
    "topics": Verb("topics:app"),
    "migrate": Verb("migrate:migrate_tables"),
    "boards": Verb("boards:boards", "Example: tokenmeter boards"),
    "replay": Verb("replay:replay"),
    "spool": Verb("spool:app"),
    "simulate": Verb("simulate:app"),
    "prices": Verb("prices:app"),
    "plans": Verb("plans:app"),
    "accounts": Verb("accounts:app"),
    "credit": Verb("credit:app"),
    "alerts": Verb("alerts:app"),
    "rerate": Verb("rerate:rerate_usage"),
    "audit": Verb("audit:audit"),
    "reconcile": Verb("reconcile:reconcile", "Example: tokenmeter reconcile --apply"),
    "reconcile-supplier": Verb("supplier:reconcile_supplier"),
    "quarantine": Verb("quarantine:app"),
    "position": Verb("position:app"),
    "rebuild": Verb("rebuild:rebuild", "Example: tokenmeter rebuild --yes"),
}

app = typer.Typer(cls=group_of(VERBS), no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tokenmeter {version_of('tokenmeter')}\n")
        raise typer.Exit


@app.callback()
def tokenmeter(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and exit")
    ] = False,
) -> None:
    """Meter LLM token usage, exactly once."""


def main() -> None:
    """Run the command; an error of ours is one message and exit code 1."""
    try:
        app()
    except TokenmeterError as error:
        _fail(error)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("tokenmeter"):
            raise
        _fail(not_installed(" ".join(sys.argv[1:2]), "local", missing.name or ""))
    except (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        if error.filename is None:
            raise
        _fail(Misconfigured(f"{error.filename}: {error.strerror}", hint="use another file or --data DIR"))
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC):
            raise
        _fail(Misconfigured(f"{error.filename or 'the disk'}: {error.strerror}", hint="free space, or --data DIR"))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: TokenmeterError) -> NoReturn:
    said = printable(f"tokenmeter: {error}", keep="\n\t")
    make_console(stderr=True).print(said, style="red", highlight=False, markup=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
