"""Pins in documents: every form, and every fault with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import Documents, load_objects
from mesh.policy.guardrails import Pin, PinMode

Load = Callable[..., Documents]
Faults = Callable[..., list[str]]
Make = Callable[..., str]
DIGEST = "sha256:" + "0123456789abcdef" * 4


def spec(pin: str, protocol: str = "MCP") -> str:
    return f"{{protocol: {protocol}, host: a.b, port: 1, tls: {{mode: Public}}, pin: {pin}}}"


@pytest.mark.parametrize(
    ("written", "pin"),
    [
        ("{mode: Off}", None),
        ("{mode: 'Off'}", None),
        ("{mode: off}", None),
        ("{mode: false}", None),
        ("{mode: FirstUse}", Pin(PinMode.FIRST_USE)),
        ("{mode: FirstUse, observe: true}", Pin(PinMode.FIRST_USE, observe=True)),
        ("{mode: FirstUse, generation: 2}", Pin(PinMode.FIRST_USE, generation=2)),
        (f"{{mode: Approved, digest: '{DIGEST}'}}", Pin(PinMode.APPROVED, DIGEST)),
        (
            f"{{mode: Approved, tools: {{'a b': '{DIGEST}'}}}}",
            Pin(PinMode.APPROVED, tools=(("a b", DIGEST),)),
        ),
    ],
)
def test_pins_are_read(load: Load, backend: Make, written: str, pin: Pin | None) -> None:
    assert load(backend(spec=spec(written))).backends[0].pin == pin


def test_without_a_pin_nothing_is_pinned(load: Load, backend: Make) -> None:
    assert load(backend()).backends[0].pin is None


def test_what_an_api_makes_of_a_bare_off_is_read() -> None:
    value = {"protocol": "MCP", "host": "a.b", "port": 1, "tls": {"mode": "Public"}, "pin": {"mode": False}}
    head = {"apiVersion": "outrider.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "a"}}
    assert load_objects([{**head, "spec": value}]).backends[0].pin is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("FirstUse", ": expected a mapping, found"),
        ("{}", ".mode: missing; allowed: Off, FirstUse, Approved"),
        ("{mode: firstuse}", '.mode: "firstuse" is not allowed, did you mean FirstUse?'),
        ("{mode: true}", '.mode: "true" is not allowed; allowed: Off, FirstUse, Approved'),
        ("{mode: Approved}", ".digest: missing; Approved compares with digest (of all tools) or tools"),
        (
            "{mode: Approved, digest: sha1:x}",
            '.digest: "sha1:x" is no digest; allowed: sha256: and 64 of 0-9 a-f',
        ),
        (f"{{mode: Approved, digest: '{DIGEST.upper()}'}}", ".digest: "),
        (
            f"{{mode: FirstUse, digest: '{DIGEST}'}}",
            ".digest: only mode Approved compares with it; remove it, or",
        ),
        (f"{{mode: Off, tools: {{a: '{DIGEST}'}}}}", ".tools: only mode Approved compares with it"),
        ("{mode: Approved, tools: {}}", ".tools: 0 entries; allowed: 1 to 1000"),
        (
            "{mode: Approved, tools: [a]}",
            ".tools: expected digests by tool, like {get_issue: sha256:...}, found",
        ),
        ("{mode: Approved, tools: {a: b}}", '.tools.a: "b" is no digest'),
        (f"{{mode: Approved, tools: {{'': '{DIGEST}'}}}}", '.tools[""]: the name of a tool has 1 to 512'),
        ("{mode: FirstUse, observe: 1}", ".observe: expected true or false"),
        ("{mode: FirstUse, generation: 0}", ".generation: 0 is out of range; allowed: 1 to 1000000000"),
        ("{mode: FirstUse, digests: x}", ".digests: unknown field, did you mean digest?"),
    ],
)
def test_each_fault_is_told_with_its_place(faults: Faults, backend: Make, written: str, told: str) -> None:
    (found,) = faults(backend(spec=spec(written)))
    assert found.startswith(f"4: spec.pin{told}")


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
@pytest.mark.parametrize("mode", ["Off", "FirstUse"])
def test_only_mcp_has_tools_to_pin(faults: Faults, backend: Make, protocol: str, mode: str) -> None:
    assert faults(backend(spec=spec(f"{{mode: {mode}}}", protocol))) == [
        f"4: spec.pin: protocol {protocol} offers no tools to pin; remove it"
    ]
