from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.redirect import iptables
from sidecar.redirect.rules import Family, plan
from sidecar.redirect.settings import MAX_ID, read_settings

SETTINGS = read_settings({})
EMPTY = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
OURS = """\
# Generated
*filter
:INPUT ACCEPT [3:120]
:OUTRIDER_GUARD_IN - [0:0]
-A INPUT -m comment --comment "outrider: guard what comes in" -j OUTRIDER_GUARD_IN
-A INPUT -m comment --comment "somebody's -j OUTRIDER_ in words" -j ACCEPT
-A OUTRIDER_GUARD_IN -j RETURN
COMMIT
*nat
:OUTPUT ACCEPT [0:0]
:OUTRIDER_OLD - [0:0]
:SOMEBODY - [0:0]
-A OUTPUT -p tcp -j OUTRIDER_OLD
-A OUTPUT -p tcp -j OUTRIDER_OLD
-A OUTPUT -p tcp -j SOMEBODY
COMMIT
"""


def test_a_call_that_is_there_is_replaced_and_not_doubled() -> None:
    lines = iptables.installation(plan(SETTINGS, Family.IPV4), Family.IPV4, OURS).splitlines()
    assert [line for line in lines if line.startswith("-D")] == [
        '-D INPUT -m comment --comment "outrider: guard what comes in" -j OUTRIDER_GUARD_IN',
        "-D OUTPUT -p tcp -j OUTRIDER_OLD",
        "-D OUTPUT -p tcp -j OUTRIDER_OLD",
    ]
    assert sum(line.startswith("-I INPUT 1") for line in lines) == 1


def test_removal_takes_chains_and_calls_of_ours_from_each_table() -> None:
    assert iptables.removal(OURS).splitlines() == [
        "*filter",
        '-D INPUT -m comment --comment "outrider: guard what comes in" -j OUTRIDER_GUARD_IN',
        "-F OUTRIDER_GUARD_IN",
        "-X OUTRIDER_GUARD_IN",
        "COMMIT",
        "*nat",
        "-D OUTPUT -p tcp -j OUTRIDER_OLD",
        "-D OUTPUT -p tcp -j OUTRIDER_OLD",
        "-F OUTRIDER_OLD",
        "-X OUTRIDER_OLD",
        "COMMIT",
    ]


@pytest.mark.parametrize("saved", ["", EMPTY])
def test_where_nothing_is_ours_nothing_is_removed(saved) -> None:
    assert iptables.removal(saved) == ""


@given(st.sets(st.integers(1, 65535), max_size=80))
def test_port_lists_of_any_length_become_matches_of_at_most_fifteen(ports) -> None:
    ports -= {15001, 15002, 15006}
    settings = replace(SETTINGS, exclude_inbound_ports=tuple(sorted(ports)))
    text = iptables.installation(plan(settings, Family.IPV4), Family.IPV4, "")
    lists = [
        line.split("--dports ")[1].split(" ")[0].split(",")
        for line in text.splitlines()
        if "OUTRIDER_INBOUND" in line and "excluded inbound ports" in line
    ]
    assert all(len(items) <= 15 for items in lists)
    assert sorted(int(port) for items in lists for port in items) == sorted(ports)


@pytest.mark.parametrize(
    ("uid", "ranges"),
    [(1774, {"0-1773", f"1775-{MAX_ID}"}), (1, {"0-0", f"2-{MAX_ID}"}), (MAX_ID, {f"0-{MAX_ID - 1}"})],
)
def test_everybody_else_is_two_ranges_around_the_uid(uid, ranges) -> None:
    text = iptables.installation(plan(replace(SETTINGS, uid=uid), Family.IPV4), Family.IPV4, "")
    answers = [line for line in text.splitlines() if "only the sidecar answers" in line]
    found = {line.split("--uid-owner ")[1].split()[0] for line in answers}
    assert found == ranges


def test_rules_are_the_same_whether_written_by_us_or_listed() -> None:
    text = iptables.installation(plan(SETTINGS, Family.IPV6), Family.IPV6, "")
    listed = (
        text.replace("-I INPUT 1", "-A INPUT")
        .replace("-I OUTPUT 1", "-A OUTPUT")
        .replace("-I PREROUTING 1 -p tcp ! -i lo", "-A PREROUTING ! -i lo -p tcp")
        .replace("-p tcp -o lo ! -s ::1/128 ! -d ::1/128", "! -s ::1/128 ! -d ::1/128 -o lo -p tcp")
        .replace("ESTABLISHED,RELATED", "RELATED,ESTABLISHED")
    )
    assert listed != text
    assert iptables.rules(text) == iptables.rules(listed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("! -s ::1/128 -d ::1/128 -j RETURN", "-s ::1/128 ! -d ::1/128 -j RETURN"),
        ("-p tcp -j RETURN", "-p tcp"),
        ('-m comment --comment "outrider: a" -j DROP', '-m comment --comment "outrider: a" -j ACCEPT'),
    ],
)
def test_rules_that_differ_are_not_taken_for_the_same(one, other) -> None:
    texts = [f"*filter\n-A OUTRIDER_GUARD_IN {words}\nCOMMIT\n" for words in (one, other)]
    assert iptables.rules(texts[0]) != iptables.rules(texts[1])


def test_what_stands_in_front_of_a_call_counts_and_what_follows_does_not() -> None:
    assert iptables.rules(
        "*filter\n-A INPUT -j ACCEPT\n-A INPUT -j OUTRIDER_GUARD_IN\n-A INPUT -j DROP\nCOMMIT\n"
    ) == {"filter INPUT": ["-j ACCEPT", "-j OUTRIDER_GUARD_IN"]}


@pytest.mark.parametrize("comment", ["somebody's -j OUTRIDER_X in words", "a line's end"])
def test_somebodys_comment_is_neither_a_call_nor_the_end_of_reading(comment) -> None:
    lines = f"-A INPUT -j OUTRIDER_GUARD_IN\n-A INPUT -m comment --comment {comment}\n"
    found = iptables.rules(f"*filter\n{lines}-A OUTRIDER_GUARD_IN -m comment --comment {comment}\nCOMMIT\n")
    assert found["filter INPUT"] == ["-j OUTRIDER_GUARD_IN"]
    assert len(found["OUTRIDER_GUARD_IN"]) == 1
