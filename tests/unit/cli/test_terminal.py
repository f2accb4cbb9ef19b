"""What somebody else chose (a customer's name) is shown as text: never as markup, or as a command to the terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from rich.errors import MarkupError
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from tokenmeter.cli import quarantine as cli_quarantine
from tokenmeter.cli.app import app
from tokenmeter.cli.printable import printable
from tokenmeter.cli.terminal import make_console

MARKUP = ("[/foo]", "[red]x", ":smile:")
HOSTILE = (*MARKUP, "\x1b[31mred", "\x1b]0;title\x07", "a\rb", "\x9b2J", "\u202egnp", "\ud800", "a\nb")
COMPOSE = Path(__file__).parents[3] / "compose" / "tokenmeter"
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]")


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_printed_commands_nothing(text: str) -> None:
    out = StringIO()
    console = make_console(file=out, width=200)
    table = Table("who")
    table.add_row(text)
    table.add_row(Text(text))
    for one in (text, f"customer {text}", Text(text), table):
        console.print(one)
        console.print(one, soft_wrap=True, highlight=False)
    assert OBEYED.search(out.getvalue()) is None
    if text in MARKUP:
        assert out.getvalue().count(text) == 10


def test_a_plain_console_would_obey() -> None:
    """The control: what the check above looks for, others do."""
    out = StringIO()
    Console(file=out, width=200).print("\x1b[31mred", markup=False)
    assert OBEYED.search(out.getvalue()) is not None
    with pytest.raises(MarkupError):
        Console(file=out).print("[/foo]")


def test_colours_are_still_colours() -> None:
    out = StringIO()
    make_console(file=out, width=80, force_terminal=True, color_system="standard").print(Text("x", style="red"))
    assert out.getvalue() == "\x1b[31mx\x1b[0m\n"


def test_every_console_is_made_there() -> None:
    makes = re.compile(r"(?<!make_)(?<!\w)Console\(")
    found = [path.name for path in COMPOSE.rglob("*.py") if makes.search(path.read_text("utf-8"))]
    assert found == ["terminal.py"]


def test_printable_keeps_what_can_be_read() -> None:
    assert printable("Zürich 東京 [x] 👍") == "Zürich 東京 [x] 👍"
    assert printable("a\nb") == "a\\nb"
    assert printable("a\nb", keep="\n") == "a\nb"


def test_quarantine_lists_customers_of_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    count = len(HOSTILE)
    names = [name.encode("utf-8", "replace").decode() for name in HOSTILE]
    rows: dict[str, Any] = {
        "reason": ["late"] * count,
        "customer_id": names,
        "appended_at": [now] * count,
        "bytes": [1] * count,
        "partition": [0] * count,
        "offset": range(count),
    }
    found = SimpleNamespace(open=pl.DataFrame(rows), released=pl.DataFrame())
    monkeypatch.setattr(cli_quarantine, "ledger", lambda client: found)
    env = {"TOKENMETER_KAFKA_BOOTSTRAP": "127.0.0.1:1", "COLUMNS": "200"}
    done = CliRunner().invoke(app, ["quarantine", "list", "--reason", "late"], env=env, catch_exceptions=False)
    assert done.exit_code == 0
    assert "[/foo]" in done.output
    assert "\\x1b[31mred" in done.output
    assert OBEYED.search(done.output) is None
