"""The command as different installs have it: what is missing is named with the extra that brings it."""

from __future__ import annotations

import subprocess
import sys

import typer.main

from support.missing import run
from tokenmeter.cli import settings
from tokenmeter.cli.app import VERBS, app
from tokenmeter.flow.meter import dedup, rules
from tokenmeter.flow.page import page


def test_every_verb_has_its_command_with_help_and_an_example() -> None:
    made = typer.main.get_command(app)
    for name in VERBS:
        verb = made.commands[name]  # type: ignore[attr-defined]
        assert verb.name == name
        assert verb.help, name
        assert verb.epilog or verb.commands, f"{name} shows no example"


def test_defaults_of_settings_are_those_of_the_workers() -> None:
    """Settings must not import the workers' packages, so they say these again."""
    assert (settings.PAGE_SECONDS, settings.PAGE_MIN_SECONDS, settings.PAGE_EVENTS) == (
        page.PAGE_SECONDS,
        page.PAGE_MIN_SECONDS,
        page.PAGE_EVENTS,
    )
    assert settings.HORIZON_MINUTES == dedup.HORIZON_MINUTES
    assert settings.QUARANTINE_RATIO_MAX == rules.QUARANTINE_RATIO_MAX


def test_the_version_is_said_at_once() -> None:
    done = subprocess.run([sys.executable, "-m", "tokenmeter.cli.main", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("tokenmeter 0.")


def test_a_bare_install_says_what_to_add() -> None:
    done = run((), "up")
    assert done.returncode == 1
    assert "pip install 'tokenmeter[local]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_verb_whose_packages_are_missing_names_the_extra() -> None:
    """All at once, by the help of a gateway's install: each of them would be refused alike."""
    done = run(("gateway",), "--help")
    assert done.returncode == 0, done.stderr
    assert "tokenmeter[local]" in done.stdout
    for arguments in (("audit", "--json"), ("quarantine", "list"), ("usage", "acme")):
        refused = run(("gateway",), *arguments)
        assert refused.returncode == 1
        assert f"tokenmeter {arguments[0]} needs the Python package" in refused.stderr.replace("\n", " ")
        assert "pip install 'tokenmeter[local]'" in refused.stderr.replace("\n", " ")
        assert "Traceback" not in refused.stderr
