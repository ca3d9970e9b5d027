"""What the demo says of admission."""

from __future__ import annotations

from cli.demo.admission import admit
from cli.demo.documents import pod


def test_everything_that_is_said_of_the_demos_pod_holds() -> None:
    admitted = admit(pod())
    assert [finding.statement for finding in admitted.findings if not finding.holds] == []
    assert admitted.before == pod()
    assert admitted.after != admitted.before


def test_a_pod_that_opts_out_makes_the_statements_fail() -> None:
    opted_out = pod()
    opted_out["metadata"]["labels"]["outrider.dev/inject"] = "false"
    admitted = admit(opted_out)
    first, second, *_ = admitted.findings
    assert (first.holds, first.seen) == (False, "pod_opted_out")
    assert not second.holds
    assert admitted.after == opted_out
