"""Each folder is one step of the flow and may import only what DESIGN allows it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "events": set(),
    "emit": {"events"},
    "kafka": {"events"},
    "flow": {"events", "kafka"},
    "audit": {"events", "kafka", "store"},
    "ops": {"events", "emit", "kafka", "flow", "store", "audit"},
    "store": {"events"},
    "boards": {"store"},
    "stack": {"events", "emit", "kafka", "flow", "audit", "ops", "store", "boards", "cli"},
    "cli": {"events", "emit", "kafka", "flow", "audit", "ops", "store", "boards", "stack"},
}
FOLDERS = ("schemas", "producers", "streams", "sql", "dashboards", "compose")
AUDIT_NEVER = "flow"
"""A recount by the meter's own code would repeat its mistakes."""
LOADER = "flow/load/"
"""The folder of flow that may import store: the loader's."""


def imported(source: str) -> set[str]:
    """The dotted names a source imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def imported_packages(source: str) -> set[str]:
    """The tokenmeter packages a source imports."""
    return {name.split(".")[1] for name in imported(source) if name.startswith("tokenmeter.")}


def forbidden(package: str, file: str, source: str) -> set[str]:
    allowed = ALLOWED[package] | {package} | ({"store"} if file.startswith(LOADER) else set())
    return imported_packages(source) - allowed


def test_no_package_imports_against_the_flow() -> None:
    checked = 0
    for folder in FOLDERS:
        for path in (ROOT / folder / "tokenmeter").rglob("*.py"):
            within = path.relative_to(ROOT / folder / "tokenmeter")
            assert forbidden(within.parts[0], within.as_posix(), path.read_text()) == set(), path
            checked += 1
    assert checked > 40


def test_the_audit_shares_no_code_with_the_meter() -> None:
    sources = sorted((ROOT / "streams" / "tokenmeter" / "audit").rglob("*.py"))
    assert len(sources) > 20
    for path in sources:
        assert AUDIT_NEVER not in imported_packages(path.read_text()), path
    for hidden in ("def rate(event):\n    from tokenmeter.flow.rate import rater\n", "from tokenmeter import flow\n"):
        assert AUDIT_NEVER in imported_packages(hidden), "the check is blind"


def test_the_check_sees_a_hidden_import() -> None:
    assert forbidden("emit", "x.py", "def f():\n    from tokenmeter.flow.page.page import PageBounds\n") == {"flow"}


CLIENTS_OWN = {
    "compose/tokenmeter/cli/places.py",
    "compose/tokenmeter/stack/local_kafka.py",
    "compose/tokenmeter/stack/kafka.py",
    "compose/tokenmeter/stack/kafka_cluster.py",
    "compose/tokenmeter/stack/status/look.py",
    "streams/tokenmeter/flow/faust/config.py",
    "producers/tokenmeter/emit/client.py",
    "producers/tokenmeter/emit/credit/cache.py",
    "producers/tokenmeter/emit/gateway/ring.py",
}
"""Where a client's address and its way in come together; everybody else is handed both."""


def test_whoever_names_a_broker_says_how_to_get_in() -> None:
    """A client made of an address alone is refused where Kafka asks for a password."""
    named = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder / "tokenmeter").rglob("*.py")
        if '"bootstrap.servers":' in path.read_text()
    }
    assert named == CLIENTS_OWN


def of_tests(source: str) -> set[str]:
    """The folders of tests that a source imports, its own support apart."""
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"support"}
    return folders & {name.split(".")[0] for name in imported(source)}


def test_what_tests_share_imports_none_of_them() -> None:
    sources = sorted((ROOT / "tests" / "support").rglob("*.py"))
    assert len(sources) > 50
    assert {path.name: found for path in sources if (found := of_tests(path.read_text()))} == {}
    hidden = "def f():\n    from faults.fault import Fault\n    import bench.preload\n"
    assert of_tests(hidden) == {"faults", "bench"}, "the check is blind"


def test_a_unit_test_lies_where_what_it_tests_lies() -> None:
    """In the folder of a package that it imports, itself or by what tests share; those of our programs lie above."""
    unit = ROOT / "tests" / "unit"
    tests = sorted(unit.rglob("*/test_*.py"))
    assert len(tests) > 100
    strayed = []
    for path in tests:
        names = imported(path.read_text())
        for shared in {name.split(".")[1] for name in names if name.startswith("support.")}:
            names |= imported((ROOT / "tests" / "support" / f"{shared}.py").read_text())
        package = ".".join(("tokenmeter", *path.relative_to(unit).parent.parts))
        if not any(f"{name}.".startswith(f"{package}.") for name in names):
            strayed.append(path.relative_to(unit).as_posix())
    assert strayed == []
