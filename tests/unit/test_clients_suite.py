"""What ``make clients`` says of another project's suite: what passed, what failed, what does not apply and why."""

from __future__ import annotations

from pathlib import Path

from clients.suite import judged

REPORT = """<testsuites><testsuite>
<testcase classname="tests.integration_tests.test_client" name="test_ping"/>
<testcase classname="tests.integration_tests.test_client" name="test_role_setting_works[sync]"><failure/></testcase>
<testcase classname="tests.integration_tests.test_client" name="test_insert"><failure/></testcase>
<testcase classname="tests.integration_tests.test_cloud" name="test_cloud"><skipped/></testcase>
</testsuite></testsuites>"""


def test_a_failure_counts_unless_its_reason_is_written_down(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    result = judged(report)
    assert (result.passed, result.failed, result.skipped, result.ratio) == (1, ["test_client.test_insert"], 1, 0.5)
    assert dict(result.not_applicable) == {"roles: users are in users.json": 1}
