"""What the demo says of admission."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.demo.admission import admit, changes
from cli.demo.control import make_control, roots
from cli.demo.documents import pod


@pytest.fixture
def trusted(tmp_path: Path) -> str:
    make_control(tmp_path, ())
    return roots(tmp_path)


def test_everything_that_is_said_of_the_demos_pod_holds(trusted: str) -> None:
    admitted = admit(pod(), trusted)
    assert [finding.statement for finding in admitted.findings if not finding.holds] == []
    assert admitted.before == pod()
    assert admitted.after != admitted.before


def test_a_pod_that_opts_out_makes_the_statements_fail(trusted: str) -> None:
    opted_out = pod()
    opted_out["metadata"]["labels"]["outrider.dev/inject"] = "false"
    admitted = admit(opted_out, trusted)
    first, second, *_ = admitted.findings
    assert (first.holds, first.seen) == (False, "pod_opted_out")
    assert not second.holds
    assert admitted.after == opted_out


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        ({"image": "a", "env": [{"name": "X", "value": "1"}, {"name": "HTTP_PROXY", "value": "b"}]}, []),
        ({"image": "b", "env": [{"name": "X", "value": "1"}]}, ["image"]),
        ({"image": "a", "env": [{"name": "X", "value": "1"}], "command": ["c"]}, ["command"]),
        ({"image": "a", "env": [{"name": "X", "value": "2"}]}, ["env"]),
        ({"image": "a", "env": [{"name": "X", "value": "1"}, {"name": "OTHER", "value": "b"}]}, ["env"]),
        ({"image": "a"}, ["env"]),
    ],
)
def test_whatever_is_no_new_proxy_variable_is_a_change(after: dict[str, object], changed: list[str]) -> None:
    before = {"image": "a", "env": [{"name": "X", "value": "1"}]}
    assert [*changes(before, after)] == changed
