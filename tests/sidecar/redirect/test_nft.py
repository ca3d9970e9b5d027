from __future__ import annotations

from sidecar.redirect import nft
from sidecar.redirect.rules import Family, plan
from sidecar.redirect.settings import read_settings

PLANS = {family: plan(read_settings({}), family) for family in Family}


def test_one_transaction_replaces_the_table_of_each_ip_version() -> None:
    lines = nft.installation(PLANS).splitlines()
    tables = [line for line in lines if " outrider" in line and "comment" not in line]
    assert tables == [
        "add table ip outrider",
        "delete table ip outrider",
        "table ip outrider {",
        "add table ip6 outrider",
        "delete table ip6 outrider",
        "table ip6 outrider {",
    ]


def test_removal_takes_our_tables_and_forgotten_copies_only() -> None:
    tables = """\
table ip outrider
table ip6 outrider
table ip outrider_copy_0123456789abcdef
table ip nat
table inet outrider
table ip outrider_of_somebody
"""
    assert nft.removal(tables).splitlines() == [
        "delete table ip outrider",
        "delete table ip6 outrider",
        "delete table ip outrider_copy_0123456789abcdef",
    ]


def test_a_copy_has_every_rule_and_no_hook() -> None:
    for family, plan_of_family in PLANS.items():
        text = nft.copy(plan_of_family, family, "outrider_copy_1")
        assert "hook" not in text
        installed = nft.installation({family: plan_of_family}).split("\n", 2)[2]
        assert nft.expected(text) == nft.rules(installed)
        assert {chain: len(lines) for chain, lines in nft.rules(text).items()} == {
            **{chain: len(rules) for chain, rules in plan_of_family.items()},
            **{hook_chain: 1 for hook_chain, _ in nft.HOOKS.values()},
        }


def test_priorities_are_the_same_by_name_and_by_number() -> None:
    listed = "table ip outrider {\n\tchain a {\n\t\ttype x priority %s; policy accept;\n\t}\n}\n"
    for name, number in (
        ("filter - 5", "-5"),
        ("dstnat - 5", "-105"),
        ("filter", "0"),
        ("dstnat + 5", "-95"),
    ):
        assert nft.rules(listed % name) == nft.rules(listed % number)


def test_what_is_in_the_table_and_in_no_chain_is_found() -> None:
    listed = "table ip outrider {\n\tflags dormant\n\n\tchain a {\n\t\tdrop\n\t}\n}\n"
    assert nft.rules(listed) == {"": ["flags dormant"], "a": ["drop"]}
