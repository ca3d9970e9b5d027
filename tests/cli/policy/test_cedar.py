from __future__ import annotations

import pytest

from cli.policy.cedar import CedarInvalid, rights


@pytest.mark.parametrize(
    ("text", "allow"),
    [
        (
            'permit(principal, action == Action::"call_tool", resource == Tool::"fetch");',
            {"tools": {"fetch"}},
        ),
        ('permit(principal, action == Action::"get_prompt", resource);', {"prompts": {"*"}}),
        ("permit(principal, action, resource);", {"tools": {"*"}, "prompts": {"*"}, "resources": {"*"}}),
        (
            'permit (principal, action in [Action::"call_tool", Action::"get_prompt"], resource);',
            {"tools": {"*"}, "prompts": {"*"}},
        ),
        (
            '@id("x") permit(principal, action == Action::"call_tool", resource == Tool::"a"); // why\n'
            'permit(principal, action == Action::"call_tool", resource == Tool::"b");',
            {"tools": {"a", "b"}},
        ),
        ("", {}),
    ],
)
def test_plain_permits_are_read(text, allow) -> None:
    found = rights([text])
    assert found.allow == allow
    assert not found.left_out
    assert not found.blocking


@pytest.mark.parametrize(
    "text",
    [
        'permit(principal == Client::"ann", action, resource);',
        'permit(principal, action, resource) when { context.claim_role == "admin" };',
        'permit(principal, action == Action::"call_tool", resource) unless { context.arg_x == 1 };',
        'permit(principal, action == Action::"other", resource);',
        'permit(principal, action == Action::"read_resource", resource == Resource::"file____x");',
        'permit(principal, action == Action::"call_tool", resource in Group::"x");',
        'permit(principal, action == Action::"get_prompt", resource == Tool::"x");',
    ],
)
def test_what_asks_more_than_names_grants_nothing(text) -> None:
    found = rights([text])
    assert not found.allow
    assert len(found.left_out) == 1


def test_a_forbid_with_conditions_denies_always() -> None:
    found = rights(
        [
            'forbid(principal, action == Action::"call_tool", resource == Tool::"rm") when { context.arg_x == 1 };'
        ]
    )
    assert found.deny == {"tools": {"rm"}}
    assert "what it forbids is denied always" in found.left_out[0]


def test_a_forbid_that_is_not_understood_blocks_everything() -> None:
    assert rights(['forbid(principal, action, resource in Group::"x");']).blocking


@pytest.mark.parametrize(
    "text",
    [
        "permit(principal, action, resource)",
        "allow(a, b, c);",
        "permit(principal);",
        "permit(principal, (a;",
        ";",
    ],
)
def test_what_is_no_cedar_is_refused(text) -> None:
    with pytest.raises(CedarInvalid):
        rights([text])
