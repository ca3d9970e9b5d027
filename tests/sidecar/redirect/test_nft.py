from __future__ import annotations

from sidecar.redirect import nft
from sidecar.redirect.rules import ENTRIES, Family, plan
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


def test_removal_names_our_table_only() -> None:
    assert [nft.removal(family) for family in Family] == [
        "delete table ip outrider\n",
        "delete table ip6 outrider\n",
    ]


def test_every_rule_has_a_comment_that_is_found_again() -> None:
    for family, rules in PLANS.items():
        found = nft.comments(nft.installation({family: rules}))
        for chain, expected in rules.items():
            assert found[chain] == [rule.comment for rule in expected]
            assert found[nft.HOOKS[chain][0]] == [ENTRIES[chain].comment]
