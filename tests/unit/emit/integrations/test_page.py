"""The page of the drop-ins says what the code says: its snippets run, and its one-liners name what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from openai import OpenAI

from support.provider_server import provider_server
from tokenmeter.emit.integrations.call import UNSEEN
from tokenmeter.emit.integrations.openai import metered

PRODUCERS = Path(__file__).parents[4] / "producers/tokenmeter"
PAGE = (PRODUCERS / "emit/integrations/README.md").read_text("utf-8")


def test_the_snippets_run(tmp_path: Path) -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippets) == 2
    begin, calls = (text.replace("/var/lib/app/spool", str(tmp_path / "spool")) for text in snippets)
    names: dict[str, object] = {}
    exec(compile(begin, "README.md", "exec"), names)
    meter, emitter = names["meter"], names["emitter"]
    with provider_server() as server, OpenAI(api_key="k", base_url=f"{server.url}/v1") as plain:
        names["client"] = metered(plain, meter)  # type: ignore[arg-type]
        exec(compile(calls, "README.md", "exec"), names)
    meter.close()  # type: ignore[attr-defined]
    assert emitter.stats.accepted == 1  # type: ignore[attr-defined]
    emitter.close(0)  # type: ignore[attr-defined]


def test_the_lines_to_add_name_what_is_there() -> None:
    found = re.findall(r"`([^`]+)` from `tokenmeter\.([\w.]+)`", PAGE)
    found += [(name, module) for module, name in re.findall(r"callbacks: tokenmeter\.([\w.]+)\.(\w+)}", PAGE)]
    assert len(found) == 7
    for line, module in found:
        # Read, not imported: importing LiteLLM asks the internet for prices.
        place = PRODUCERS / module.replace(".", "/")
        source = (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text("utf-8")
        defined = {getattr(node, "name", None) for node in ast.parse(source).body}
        defined |= set(re.findall(r'"(\w+)"', source))
        assert defined & set(re.findall(r"\w+", line)), (line, module)
    assert UNSEEN in PAGE
