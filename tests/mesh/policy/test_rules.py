from __future__ import annotations

import pytest

from mesh.policy.documents import McpGrant, Names, ServerRequest
from mesh.policy.methods import Section
from mesh.policy.rules import McpRule, Rule, SectionRule, Verdict, Vote
from mesh.reasons import Reason


@pytest.mark.parametrize(
    ("name", "vote"),
    [
        ("a", Vote(Verdict.GRANT, Reason.ALLOWED, "R tools.allow[0]")),
        ("b", Vote(Verdict.DENY, Reason.TOOL_DENIED, "R tools.deny[0]")),
        ("c", Vote(Verdict.SILENT, Reason.TOOL_NOT_GRANTED, "R tools.allow")),
        ("c c", Vote(Verdict.SILENT, Reason.NAME_OUTSIDE_CHARSET, "R tools.allow")),
    ],
)
def test_a_section_grants_denies_or_is_silent(name: str, vote: Vote) -> None:
    assert SectionRule(Section.TOOLS, Names(("a", "b"), ("b",)), "R").vote(name) == vote


def test_a_deny_pattern_reaches_ill_formed_names_that_another_rule_may_allow() -> None:
    section = SectionRule(Section.TOOLS, Names((), ("*delete*",)), "R")
    assert section.vote("delete \u200b").verdict is Verdict.DENY


def test_a_deny_entry_reaches_every_reading_of_a_uri() -> None:
    section = SectionRule(Section.RESOURCES, Names(("*",), ("repo://acme/secret",)), "R")
    for uri in (
        "repo://acme/secret",
        "REPO://acme/%73ecret",
        "repo://acme//secret/?x",
        "repo://acme/secret#y",
    ):
        assert section.vote(uri).reason is Reason.RESOURCE_DENIED
    assert section.vote("repo://acme/secrets").verdict is Verdict.GRANT


def test_a_rule_without_mcp_does_not_allow_the_protocol() -> None:
    rule = Rule("R", None, http=True)
    assert rule.vote("ping", None).reason is Reason.PROTOCOL_NOT_ALLOWED
    assert rule.vote_server_request("roots").reason is Reason.PROTOCOL_NOT_ALLOWED
    assert rule.vote_http() == Vote(Verdict.GRANT, Reason.ALLOWED, "R http")
    assert Rule("R", McpRule(McpGrant(), "R")).vote_http().reason is Reason.PROTOCOL_NOT_ALLOWED


def test_server_requests_outside_the_list_are_denied() -> None:
    rule = McpRule(McpGrant(), "R", frozenset({ServerRequest.ROOTS}))
    assert rule.vote_server_request("roots/list").verdict is Verdict.GRANT
    assert rule.vote_server_request("sampling") == Vote(
        Verdict.DENY, Reason.SERVER_REQUEST_REFUSED, "R serverRequests"
    )


def test_a_rule_knows_whether_it_grants_or_denies_a_kind() -> None:
    rule = McpRule(McpGrant(tools=Names(("*",), ("x",)), prompts=Names(("a",))), "R")
    assert (rule.grants_all(Section.TOOLS), rule.denies_some(Section.TOOLS)) == (True, True)
    assert (rule.grants_all(Section.PROMPTS), rule.denies_some(Section.PROMPTS)) == (False, False)
    assert (rule.grants_all(Section.RESOURCES), rule.denies_some(Section.RESOURCES)) == (False, False)
