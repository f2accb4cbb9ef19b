"""streams/tokenmeter/flow/LIMITS.md states every limit of the workers, and says what the code says.

A limit is a module's constant whose name ends in one of ENDINGS or holds MAX or MIN; flow, kafka and store are
read, for the loader needs all.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "streams/tokenmeter/flow/LIMITS.md"
PACKAGES = {
    "flow": ROOT / "streams/tokenmeter/flow",
    "kafka": ROOT / "streams/tokenmeter/kafka",
    "store": ROOT / "sql/tokenmeter/store",
}
ENDINGS = {"S", "MS", "SECONDS", "MINUTES", "THREADS", "EVENTS", "ALLOCATIONS"}
UNITS = {"MB": 1 << 20, "KB": 1 << 10, "GB": 1 << 30}
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<value>[\d ._]+?) ?(?P<unit>[A-Za-zµ%]*) \| `(?P<file>[\w/]+\.py)` \|")


def is_limit(name: str) -> bool:
    words = name.split("_")
    return name.isupper() and words[0] != "" and (words[-1] in ENDINGS or bool({"MAX", "MIN"} & set(words[1:])))


def of_source(source: str, values: dict[str, Any]) -> dict[str, float]:
    """The limits a module defines itself; what it imports is another's."""
    names = re.findall(r"^(\w+)(?:: [^=\n]+)? = ", source, re.MULTILINE)
    return {name: values[name] for name in names if is_limit(name) and isinstance(values[name], int | float)}


def of_the_code() -> dict[tuple[str, str], float]:
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            within = path.relative_to(folder).with_suffix("")
            module = importlib.import_module(".".join(("tokenmeter", package, *within.parts)))
            for name, value in of_source(path.read_text(), vars(module)).items():
                found[f"{package}/{path.relative_to(folder)}", name] = value
    return found


def of_the_page(text: str) -> dict[tuple[str, str], float]:
    """What a page states; a value in KB, MB or GB is taken for the bytes, or for the kilobytes a name asks for."""
    found = {}
    for row in filter(None, map(ROW.match, text.splitlines())):
        value = float(row["value"].replace(" ", "")) * UNITS.get(row["unit"], 1)
        found[row["file"], row["name"]] = value / (1 << 10) if "KBYTES" in row["name"] else value
    return found


def test_the_page_states_every_limit_as_the_code_has_it() -> None:
    stated, true = of_the_page(PAGE.read_text()), of_the_code()
    assert len(true) > 30
    assert sorted(true.keys() - stated.keys()) == [], "limits that LIMITS.md does not state"
    assert sorted(stated.keys() - true.keys()) == [], "limits that no code has"
    assert {key: stated[key] for key in true} == true


@pytest.mark.parametrize(
    "line", ["| `RETRY_FOR_S` | 61 s | `store/insert.py` | |", "| `RETRY_FOR_S` | 60 s | `store/other.py` | |"]
)
def test_the_same_check_sees_another_value_or_place(line: str) -> None:
    ((key, value),) = of_the_page(line).items()
    assert of_the_code().get(key) != value


def test_the_same_check_sees_a_limit_that_is_new() -> None:
    assert of_source("THINGS_MAX = 5\nfrom x import OTHER_MAX\n", {"THINGS_MAX": 5, "OTHER_MAX": 6}) == {
        "THINGS_MAX": 5
    }
