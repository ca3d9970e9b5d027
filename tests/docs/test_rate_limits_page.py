"""docs/rate-limits.md: its documents do what it says, and its tables are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mesh.policy import load_texts
from mesh.policy.compile import compile_policy
from mesh.policy.guardrails import FailureMode, Rate, RateLimits
from mesh.policy.principal import Principal
from mesh.protocol.mcp.denials import POLICY_CODES
from mesh.reasons import Reason
from sidecar.config import load_config
from sidecar.limits import Limits
from sidecar.proxy.rated import COUNTED
from sidecar.proxy.replies import beyond_limit, limit_error
from sidecar.rates.account import MOST_USERS
from sidecar.rates.meter import MOST_ACCOUNTS

PAGE = (Path(__file__).parents[2] / "docs" / "rate-limits.md").read_text(encoding="utf-8")
POLICY, SHARED, STORE = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
BACKEND = """
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github}
spec: {protocol: MCP, host: github.tools.svc, port: 8080, tls: {mode: None}}
"""


def limits_of(text: str) -> RateLimits:
    policy = compile_policy(load_texts([("x.yaml", text + BACKEND)]), labels={}, namespace=None)
    (found,) = policy.content(Principal("spiffe://a/b"), policy.backends[0])[1]
    return found


def test_the_policy_says_what_the_page_says() -> None:
    found = limits_of(POLICY)
    assert found.every == Rate(60, 60.0, 10)
    assert dict(found.tools) == {"create_issue": Rate(5, 3600.0), "list_*": Rate(2, 1.0)}
    assert (found.concurrent, found.result_bytes, found.shared) == (4, 1048576, False)


def test_the_shared_limit_is_one() -> None:
    head = POLICY.partition("    rateLimit:")[0]
    found = limits_of(f"{head}    {SHARED}")
    assert (found.shared, found.failure, found.every) == (True, FailureMode.OPEN, Rate(600, 60.0))


def test_the_store_is_read_from_the_sidecars_file_and_its_environment(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text("policies: [x.yaml]\n" + STORE, encoding="utf-8")
    store = load_config(file, {}).rate_store
    assert store is not None
    assert (store.url, store.password_file) == (
        "rediss://redis.rates.svc:6380/0",
        Path("/etc/outrider/rate-store"),
    )
    url = re.findall(r"settings.rateStore: ([^`]+)`", PAGE)[0]
    store = load_config(file, {"OUTRIDER_RATE_STORE": url}).rate_store
    assert store is not None
    assert store.url == url


def test_the_error_is_what_agents_get() -> None:
    (told,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert json.loads(told) == limit_error(2, Reason.RATE_LIMITED, 720)


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (-\d+) \| (\d+) \|", PAGE, re.MULTILINE)
    assert {Reason(name): int(code) for name, code, _ in rows} == {
        reason: code for reason, code in POLICY_CODES.items() if code <= -31031 and code >= -31034
    }
    for name, _, status in rows:
        if name != "result_too_large":
            assert beyond_limit(Reason(name), "", 1).status == int(status)


def test_what_counts_is_what_the_page_lists() -> None:
    listed = PAGE.partition("- A message of MCP")[2].partition(".")[0]
    assert set(re.findall(r"`([a-z]+/[a-z]+)`", listed)) <= COUNTED
    assert {"tasks/get", "tools/list", "ping"}.isdisjoint(COUNTED)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{MOST_USERS} users" in PAGE
    assert f"{MOST_ACCOUNTS} pairs" in PAGE
    assert Limits().rate_store_seconds == 0.05
