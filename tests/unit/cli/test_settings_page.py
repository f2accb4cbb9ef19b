"""The page of the settings says what their class says."""

from __future__ import annotations

from pathlib import Path

from tokenmeter.cli.settings import Settings
from tokenmeter.cli.settings_page import page

PAGE = Path(__file__).parents[3] / "compose" / "SETTINGS.md"


def test_the_page_is_true() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tokenmeter.cli.settings_page > compose/SETTINGS.md"


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`TOKENMETER_{name.upper()}`" in page()
    assert "At least 1,024, at most 65,000." in page(), "also the limits of what may be left out"
