"""What an agent means by surrogates that it writes, and that exactly this leaves."""

from __future__ import annotations

from typing import Any

from mesh.policy.guardrails import Direction
from mesh.protocol.jsonrpc import Message, classify
from sidecar.guardrails.restoring import MOST_ADDED
from sidecar.guardrails.vault import LONGEST_KEPT, Vault
from sidecar.proxy.put_back import put_back, put_in

MAIL = "jane.doe@example.com"


def vault(*values: str) -> Vault:
    """What was masked in a server's answers, as <EMAIL_1> and so on."""
    made = Vault()
    for value in values:
        made.token("EMAIL", value, Direction.REQUEST)
    return made


def call(name: str = "search", **arguments: Any) -> Message:
    params = {"name": name, "arguments": arguments}
    return classify({"jsonrpc": "2.0", "id": "<EMAIL_1>", "method": "tools/call", "params": params})


def arguments(message: Message) -> Any:
    assert type(message.params) is dict
    return message.params["arguments"]


def test_a_message_means_what_stands_in_the_place_of_surrogates_and_stays_as_it_is() -> None:
    message = call("<EMAIL_1>", to="mail <EMAIL_1>", deep={"text": '{"to": "\\u003cEMAIL_1\\u003e"}'})
    one = put_back(message, vault(MAIL))
    assert one is not None
    assert arguments(one.meaning) == {
        "to": f"mail {MAIL}",
        "deep": {"text": '{"to": "jane.doe@example.com"}'},
    }
    assert arguments(message)["to"] == "mail <EMAIL_1>"
    assert one.meaning.value["id"] == "<EMAIL_1>"
    assert one.meaning.value["params"]["name"] == "<EMAIL_1>"


def test_what_leaves_is_what_was_decided() -> None:
    message = call(to="mail <EMAIL_1>", again=["<EMAIL_1>"])
    one = put_back(message, vault(MAIL))
    assert one is not None
    assert put_in(message, one.values)
    assert message.value == one.meaning.value


def test_a_message_without_surrogates_means_what_it_says() -> None:
    assert put_back(call(to="<EMAIL_2>", cc="<b>"), vault(MAIL)) is None


def test_a_surrogate_that_came_to_stand_for_something_later_is_not_put_back() -> None:
    known = vault(MAIL)
    message = call(to="<EMAIL_1>", cc="<EMAIL_2>")
    one = put_back(message, known)
    known.token("EMAIL", "bob@corp.org", Direction.REQUEST)
    assert one is not None
    put_in(message, one.values)
    assert arguments(message) == {"to": MAIL, "cc": "<EMAIL_2>"}


def test_what_masking_sets_is_not_put_back() -> None:
    known = vault(MAIL, "bob@corp.org")
    message = call(to="<EMAIL_1>", cc="bob@corp.org")
    one = put_back(message, known)
    assert one is not None
    arguments(message)["cc"] = "<EMAIL_2>"
    put_in(message, one.values)
    assert arguments(message) == {"to": MAIL, "cc": "<EMAIL_2>"}


def test_what_the_agent_sent_itself_is_not_put_back_for_the_server() -> None:
    known = Vault()
    known.token("EMAIL", MAIL, Direction.RESPONSE)
    assert put_back(call(to="<EMAIL_1>"), known) is None


def test_forms_that_places_admit_are_put_back_where_they_stand() -> None:
    known = Vault()
    stand = known.stand("EMAIL", MAIL, Direction.REQUEST)
    number = known.stand("PHONE", 5551234567, Direction.REQUEST)
    assert known.claim(stand, "email-1@masked.invalid", "email")
    assert known.claim(stand, "xxxx1", "shaped")
    assert known.claim(number, 999000000000001, "number")
    message = call(
        a="to email-1@masked.invalid",
        b="xxxx1",
        c=999000000000001,
        d="xxxx1 more",
        e='{"n": 999000000000001}',
    )
    one = put_back(message, known)
    assert one is not None
    expected = {"a": f"to {MAIL}", "b": MAIL, "c": 5551234567, "d": "xxxx1 more", "e": '{"n": 5551234567}'}
    assert arguments(one.meaning) == expected
    put_in(message, one.values)
    assert arguments(message) == expected


def test_more_than_may_be_put_back_is_not_put_back_in_part() -> None:
    long = "x" * LONGEST_KEPT
    times = MOST_ADDED // LONGEST_KEPT + 10
    assert put_back(call(text="<EMAIL_1> " * times), vault(long)) is None


def test_the_answer_to_a_question_of_the_servers_means_what_it_stands_for() -> None:
    value = {"jsonrpc": "2.0", "id": 1, "result": {"action": "accept", "content": {"to": "<EMAIL_1>"}}}
    one = put_back(classify(value), vault(MAIL))
    assert one is not None
    assert one.meaning.result["content"] == {"to": MAIL}
