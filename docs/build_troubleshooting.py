"""Writes the tables of docs/troubleshooting.md: reason codes of admission, checks, and findings of `analyze`.

`python docs/build_troubleshooting.py` writes them between their markers; a test checks that they are what the code
says. What is by hand in here is only which page has more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from cli.analyze.table import TABLE as FINDINGS
from cli.check.table import TABLE as CHECKS
from mesh.reasons import Reason

TARGET = Path(__file__).with_name("troubleshooting.md")
FINAL_STATE = Path(__file__).parents[1] / "charts" / "outrider" / "templates" / "final-state.yaml"

_REASONS = tuple(Reason)
_FINAL_STATE_BEGINS = _REASONS.index(Reason.SIDECAR_MISSING)
ADMISSION = _REASONS[_REASONS.index(Reason.INJECTED) : _FINAL_STATE_BEGINS]
"""The codes of admission: the last part of the table of reasons but one."""
FINAL_STATE_ONLY = _REASONS[_FINAL_STATE_BEGINS:]
"""Those that the ValidatingAdmissionPolicy alone gives: the last part."""

PAGES = {
    "pods-without-sidecar": "not_opted_in pod_opted_out namespace_disabled namespace_ignored inject_label_invalid "
    "namespace_label_invalid host_network mirror_pod windows_pod sidecar_missing injected_label "
    "failure-policy entries-complete final-state-policy final-state-binding validating-admission-policy "
    "namespace-label pods-created pods-injected workload-labels "
    "OUT0101 OUT0104 OUT0105 OUT0302 OUT0306 OUT0402 OUT0405",
    "injector-outage": "namespace_unknown control-plane-installed control-plane-available control-plane-replicas "
    "disruption-budget own-namespace-exempt webhook-destination webhook-endpoints install-namespace",
    "job-never-completes": "api-server-version kubelet-versions",
    "init-containers-without-network": "sidecars-ready policies-present",
    "podsecurity": "capture_impossible",
    "shutdown": "termination-grace OUT0304",
    "certificates": "serving-secret ca-certificate serving-certificate serving-certificate-chain "
    "serving-certificate-names ca-bundles leader-lease control-plane-permissions",
    "webhook-order": "sidecar_displaced sidecar_changed sidecar_image reinvocation other-webhooks "
    "entries-disjoint injector-entries validator-entries final-state-image OUT0401",
    "private-cluster-ports": "webhook-timeouts",
    "probes": "probe_refused hook_refused",
    "resources": "sidecar-restarts",
    "service-account-token": "identity_exposed reserved_volume identity-driver identity-exclusive "
    "csi-driver-available",
    "uid-and-kernel": "sidecar_uid sidecar_group shared_processes",
    "also": "opt_out_refused pod_too_large OUT0106",
}
"""What is told about on which page below docs/troubleshooting/."""
ELSEWHERE = {
    "annotation_invalid": "injection.md#who-sets-what",
    "not_permitted": "injection.md#who-sets-what",
    "proxy_conflict": "injection.md#proxy-variables",
    "capture_undone": "injection.md#capture",
    "node_reached": "injection.md#the-node",
    "reserved_name": "injection.md#what-is-refused",
    "sidecar_joined": "injection.md#ephemeral-containers",
    "ephemeral-containers": "injection.md#ephemeral-containers",
    "pod_malformed": "injection.md#try-it",
    "not_a_pod_creation": "injection.md#the-admission-server",
    "sidecar_port": "injection.md#ports",
    "control_roots_unknown": "injection.md#the-control-plane",
    "secret_exposed": "injection.md#annotations",
    "containers_added": "injection.md#ephemeral-containers",
    "documents_invalid": "policy.md#errors",
    "not_validated": "use-on-a-cluster.md#the-policies",
    "platform-settings": "injection.md#the-platforms-settings",
    "sidecar-settings": "injection.md#the-platforms-settings",
    "policies-valid": "policy.md#errors",
    "policies-current": "control-plane.md#status",
    "identity-root": "injection.md#identity",
    "control-service": "control-plane.md#what-fails-and-what-then",
    "mesh-ca": "use-on-a-cluster.md#certificates",
    "sidecars-connected": "control-plane.md#what-fails-and-what-then",
    "sidecar-roots": "use-on-a-cluster.md#certificates",
    "access-policies": "access-policy.md#which-policies-are-in-force",
    "policy-labels": "policy.md#agentpolicy",
    "network-policy": "injection.md#networkpolicy",
    "sidecar-versions": "use-on-a-cluster.md#upgrade-and-rollback",
    "control-plane-version": "use-on-a-cluster.md#upgrade-and-rollback",
    "resource-kinds": "use-on-a-cluster.md#upgrade-and-rollback",
    "OUT0102": "injection.md#who-sets-what",
    "OUT0103": "injection.md#who-sets-what",
    "OUT0201": "policy.md#errors",
    "OUT0202": "policy.md#agentpolicy",
    "OUT0203": "policy.md#outbound-rules",
    "OUT0204": "policy.md#outbound-rules",
    "OUT0205": "policy.md#names",
    "OUT0206": "use-on-a-cluster.md#the-policies",
    "OUT0207": "policy.md#when-several-policies-select-one-agent",
    "OUT0208": "control-plane.md#conflicts",
    "OUT0209": "access-policy.md#which-policies-are-in-force",
    "OUT0210": "access-policy.md#which-policies-concern-a-request",
    "OUT0211": "access-policy.md#what-is-honoured",
    "OUT0212": "access-policy.md#what-is-honoured",
    "OUT0213": "credentials.md#whose-request-it-is",
    "OUT0214": "credentials.md#secrets",
    "OUT0307": "credentials.md#secrets",
    "OUT0308": "credentials.md#hidden-secrets",
    "OUT0301": "#by-reason-code",
    "OUT0303": "use-on-a-cluster.md#install",
    "OUT0305": "injection.md#what-is-refused",
    "OUT0403": "use-on-a-cluster.md#the-mcp-server",
    "OUT0404": "use-on-a-cluster.md#the-mcp-server",
    "service-ports": "use-on-a-cluster.md#the-mcp-server",
    "kept-crds": "use-on-a-cluster.md#remove-it",
    "names-free": "use-on-a-cluster.md#install",
    "install-permissions": "use-on-a-cluster.md#before-you-start",
    "credential-secrets": "credentials.md#secrets",
    "credential-users": "credentials.md#whose-request-it-is",
    "credential-urls": "credentials.md#secrets",
    "hidden-variables": "credentials.md#hidden-secrets",
}
_CODE = re.compile(r'message: .*?"outrider \(([a-z_, ]+)\): (.*?)"')
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|%s")


def links() -> dict[str, str]:
    """By code or check: the link to what tells more."""
    named = {
        code: f"[{page}](troubleshooting/{page}.md)"
        for page, codes in PAGES.items()
        for code in codes.split()
    }
    shown = {code: target.partition("#")[0] or "by reason code" for code, target in ELSEWHERE.items()}
    return named | {code: f"[{shown[code]}]({target})" for code, target in ELSEWHERE.items()}


def sections() -> dict[str, str]:
    """What stands between each pair of markers."""
    return {"reasons": _text(_reasons()), "checks": _text(_checks()), "findings": _text(_findings())}


def page(written: str) -> str:
    """`written` with everything between markers made anew."""
    for name, text in sections().items():
        begin, end = f"<!-- {name}: begin", f"<!-- {name}: end -->"
        head, _, rest = written.partition(begin)
        line, _, rest = rest.partition("\n")
        written = f"{head}{begin}{line}\n{text}\n{end}{rest.partition(end)[2]}"
    return written


def final_state_messages() -> dict[str, str]:
    """Codes that the ValidatingAdmissionPolicy alone gives, with what it says first."""
    messages: dict[str, str] = {}
    for codes, said in _CODE.findall(FINAL_STATE.read_text(encoding="utf-8")):
        for code in codes.split(", "):
            if code in FINAL_STATE_ONLY:
                messages.setdefault(code, _PLACEHOLDER.sub("…", said))
    return messages


def _reasons() -> Iterator[str]:
    more = links()
    yield "| code | what it says | more |"
    yield "|---|---|---|"
    for reason in ADMISSION:
        yield _row(str(reason), reason.sentence, more.get(reason, ""))
    yield ""
    yield "The ValidatingAdmissionPolicy has these as well, for pods whose sidecar is not as the webhook made it:"
    yield ""
    yield "| code | what it says | more |"
    yield "|---|---|---|"
    for reason in FINAL_STATE_ONLY:
        yield _row(str(reason), reason.sentence, more.get(reason, ""))


def _checks() -> Iterator[str]:
    more = links()
    for category, group in groupby(CHECKS, key=lambda check: check.category):
        yield f"**{category[0].upper()}{category[1:]}**"
        yield ""
        yield "| check | holds when | where it does not | more |"
        yield "|---|---|---|---|"
        for check in group:
            yield _row(check.id, check.title, check.hint, more.get(check.id, ""))
        yield ""


def _findings() -> Iterator[str]:
    more = links()
    yield "| code | level | found | what to do | more |"
    yield "|---|---|---|---|---|"
    for code in FINDINGS:
        yield _row(code.code, str(code.level), code.title, code.todo, more.get(code.code, ""))


def _row(code: str, *cells: str) -> str:
    """A row that can be linked to by its code."""
    escaped = [cell.replace("|", "\\|") for cell in (f'<a id="{code}"></a>`{code}`', *cells)]
    return f"| {' | '.join(escaped)} |"


def _text(lines: Iterator[str]) -> str:
    return "\n".join(lines).rstrip("\n")


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
