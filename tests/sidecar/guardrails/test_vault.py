"""Values of one session, what stands for them, and who gets them back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.guardrails import Direction
from sidecar.guardrails.vault import Vault, VaultKey, Vaults

BACK = Direction.RESPONSE


def test_the_same_value_has_the_same_token_and_another_has_the_next():
    vault = Vault()

    assert vault.token("EMAIL", "a@b.c") == "<EMAIL_1>"
    assert vault.token("EMAIL", "d@e.f") == "<EMAIL_2>"
    assert vault.token("PHONE", "555 1234") == "<PHONE_1>"
    assert vault.token("EMAIL", "a@b.c") == "<EMAIL_1>"


@pytest.mark.parametrize(
    ("kind", "token"),
    [
        ("email", "<EMAIL_1>"),
        ("us-ssn", "<US_SSN_1>"),
        ("", "<VALUE_1>"),
        ("\u00e9>", "<VALUE_1>"),
        ("2fa", "<X_2FA_1>"),
    ],
)
def test_kinds_of_external_detectors_make_tokens_too(kind, token):
    assert Vault().token(kind, "x") == token


def test_a_token_that_stood_in_a_message_before_is_never_given_out():
    vault = Vault()
    vault.avoid("see <EMAIL_1> and <EMAIL_2>")

    assert vault.token("EMAIL", "a@b.c", BACK) == "<EMAIL_3>"
    assert vault.restore("<EMAIL_1> <EMAIL_3>") == "<EMAIL_1> a@b.c"


def test_an_agent_that_repeats_our_token_does_not_make_it_foreign():
    vault = Vault()
    token = vault.token("EMAIL", "a@b.c", BACK)
    vault.avoid(f"mail to {token}")

    assert vault.token("EMAIL", "a@b.c", BACK) == token


def test_a_value_is_turned_back_only_towards_where_it_came_from():
    vault = Vault()
    token = vault.token("EMAIL", "a@b.c", Direction.RESPONSE)

    assert vault.restore(f"to {token}.", Direction.RESPONSE) == "to a@b.c."
    assert vault.restore(f"to {token}.", Direction.REQUEST) == f"to {token}."


@pytest.mark.parametrize("back", [Direction.REQUEST, None])
def test_what_a_server_said_first_neither_comes_back_nor_is_recognized_when_the_agent_says_it(back):
    vault = Vault()
    said = [vault.token("EMAIL", one, back, Direction.REQUEST) for one in ("a@b.c", "jane@x.org")]
    own = back and Direction.RESPONSE
    sent = vault.token("EMAIL", "jane@x.org", own, Direction.RESPONSE)

    assert sent not in said
    assert vault.restore(sent, Direction.REQUEST) == sent
    assert vault.token("EMAIL", "jane@x.org", own, Direction.RESPONSE) == sent


def test_what_the_agent_said_first_does_not_go_to_the_server_when_the_server_says_it_later():
    vault = Vault()
    sent = vault.token("EMAIL", "jane@x.org", Direction.RESPONSE)
    said = vault.token("EMAIL", "jane@x.org", Direction.REQUEST)

    assert vault.restore(sent, Direction.REQUEST) == sent
    assert vault.restore(sent, Direction.RESPONSE) == "jane@x.org"
    assert vault.restore(said, Direction.RESPONSE) == said
    assert vault.restore(said, Direction.REQUEST) == "jane@x.org"


def test_foreign_tokens_that_are_remembered_are_few_and_count():
    grown: list[int] = []
    vault = Vault(grown=grown.append)
    vault.avoid(" ".join(f"<EMAIL_{number}>" for number in range(5000)))

    assert len(vault._taken) == 256
    assert 256 * 100 < vault.size == sum(grown) < 256 * 200


def test_what_is_never_turned_back_is_not_kept():
    vault = Vault()
    token = vault.token("AWS_KEY", "AKIA-the-secret")

    assert vault.restore(token) == token
    assert not any(stand.value for stand in vault._stands.values())


def test_text_without_anything_of_ours_is_the_very_same():
    vault = Vault()
    vault.token("EMAIL", "a@b.c", BACK)
    text = "nothing to see"

    assert vault.restore(text) is text


def test_the_oldest_is_forgotten_and_its_token_stays_and_is_not_given_out_again():
    vault = Vault(values=2)
    tokens = [vault.token("EMAIL", f"{n}@b.c", BACK) for n in range(3)]

    assert len(vault) == 2
    assert vault.restore(" ".join(tokens)) == "<EMAIL_1> 1@b.c 2@b.c"
    assert vault.token("EMAIL", "0@b.c", BACK) == "<EMAIL_4>"


def test_what_is_used_again_is_not_the_oldest():
    vault = Vault(values=2)
    for value in "a", "b", "a", "c":
        vault.token("TERM", value, BACK)

    assert vault.restore("<TERM_1> <TERM_2> <TERM_3>") == "a <TERM_2> c"


def test_bytes_are_bounded_whatever_the_values_are():
    vault = Vault(size=20_000)
    for number in range(200):
        vault.token("TERM", f"{number}" * 300, BACK)

    assert vault.size <= 20_000
    assert 0 < len(vault) < 200


def test_a_value_too_long_to_keep_is_masked_and_not_turned_back():
    vault = Vault()
    token = vault.token("TERM", "x" * 5000, BACK)

    assert vault.restore(token) == token
    assert vault.token("TERM", "x" * 5000, BACK) == token


def test_kinds_are_bounded():
    vault = Vault()
    tokens = [vault.token(f"K{number}", "v") for number in range(400)]

    assert tokens[-1].startswith("<VALUE_")
    assert len(vault._counts) <= 257


def test_nothing_secret_is_shown():
    vaults = Vaults(lambda: 0.0)
    vault = vaults.of(VaultKey("a", None, "s", None))
    stand = vault.stand("EMAIL", "private@b.c", BACK)

    assert "private" not in repr(vault) + repr(vaults) + repr(stand)


@given(st.lists(st.tuples(st.sampled_from(["EMAIL", "SSN"]), st.text(min_size=1, max_size=8)), max_size=12))
def test_tokens_turn_back_into_what_they_stand_for(values):
    vault = Vault()
    tokens = [vault.token(kind, value, BACK) for kind, value in values]

    assert "|".join(vault.restore(token) for token in tokens) == "|".join(value for _, value in values)
    assert len({(kind, value) for kind, value in values}) == len(set(tokens))


KEYS = [VaultKey("agent", user, "server", session) for user in (None, "u") for session in (None, "s")]


def test_each_session_has_its_own_vault_for_as_long_as_it_lasts():
    vaults = Vaults(lambda: 0.0)
    for key in KEYS:
        vaults.of(key).token("EMAIL", f"{key}", BACK)

    assert [vaults.of(key).restore("<EMAIL_1>") for key in KEYS] == [f"{key}" for key in KEYS]
    vaults.end(KEYS[0])
    assert vaults.get(KEYS[0]) is None
    assert vaults.of(KEYS[0]).restore("<EMAIL_1>") == "<EMAIL_1>"


def test_a_vault_that_nobody_uses_is_forgotten_in_time():
    now = [0.0]
    vaults = Vaults(lambda: now[0], ttl=10)
    vaults.of(KEYS[0])
    now[0] = 9.0
    vaults.of(KEYS[1])
    assert vaults.get(KEYS[0]) is not None
    now[0] = 19.0

    assert vaults.get(KEYS[1]) is None
    assert vaults.get(KEYS[0]) is None
    assert vaults.size == 0


def test_the_number_and_the_bytes_of_all_vaults_are_bounded():
    vaults = Vaults(lambda: 0.0, vaults=3, size=100_000)
    for number in range(50):
        vault = vaults.of(VaultKey("agent", None, f"{number}", None))
        for value in range(20):
            vault.token("TERM", f"{value}" * 500, BACK)
        assert vaults.size <= 100_000 + vault.size

    assert len(vaults) <= 3


def test_what_is_done_with_a_vault_after_its_end_counts_no_longer():
    vaults = Vaults(lambda: 0.0)
    vault = vaults.of(KEYS[0])
    vaults.end(KEYS[0])
    vault.token("EMAIL", "a@b.c", BACK)

    assert vaults.size == 0
