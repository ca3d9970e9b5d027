"""Secrets of placeholders come from files, and follow them."""

from __future__ import annotations

import os

import pytest

from sidecar.hidden.secrets import LOOK_SECONDS, MOST_BYTES, HiddenSecrets
from sidecar.hidden.variables import HiddenVariable

FAKE = "outrider-hidden-0123456789abcdef0123456789abcdef"
OTHER = "outrider-hidden-ffffffffffffffffffffffffffffffff"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def hidden(tmp_path, clock, told) -> HiddenSecrets:
    files = (tmp_path / "first", tmp_path / "second")
    variables = {
        FAKE: HiddenVariable("agent", "TOKEN", files),
        OTHER: HiddenVariable("helper", "KEY", (tmp_path / "key",)),
    }
    return HiddenSecrets(variables, on_problem=told.append, now=clock)


def test_a_backend_gets_the_secrets_of_its_variables_alone(hidden, tmp_path) -> None:
    (tmp_path / "first").write_text("one")
    (tmp_path / "key").write_text("two")
    grants = hidden.grants(("TOKEN",))
    assert grants.secrets == {FAKE.encode(): b"one"}
    assert grants.known == {FAKE.encode(), OTHER.encode()}
    assert hidden.grants(("TOKEN", "KEY")).secrets == {FAKE.encode(): b"one", OTHER.encode(): b"two"}
    assert hidden.grants(("UNKNOWN",)).secrets == {}
    assert hidden.grants().secrets == {}
    assert hidden.grants() is hidden.grants()


def test_of_several_files_the_last_one_that_is_there_counts(hidden, tmp_path, clock) -> None:
    assert hidden.grants(("TOKEN",)).secrets == {FAKE.encode(): None}
    (tmp_path / "first").write_text("one")
    clock.now += LOOK_SECONDS
    assert hidden.grants(("TOKEN",)).secrets[FAKE.encode()] == b"one"
    (tmp_path / "second").write_text("two")
    clock.now += LOOK_SECONDS
    assert hidden.grants(("TOKEN",)).secrets[FAKE.encode()] == b"two"
    (tmp_path / "second").unlink()
    clock.now += LOOK_SECONDS
    assert hidden.grants(("TOKEN",)).secrets[FAKE.encode()] == b"one"


def test_files_are_looked_at_once_a_second_and_the_answer_stays_the_same_object(
    hidden, tmp_path, clock
) -> None:
    (tmp_path / "first").write_text("one")
    grants = hidden.grants(("TOKEN",))
    (tmp_path / "first").write_text("three")
    assert hidden.grants(("TOKEN",)) is grants
    clock.now += LOOK_SECONDS
    changed = hidden.grants(("TOKEN",))
    assert changed.secrets[FAKE.encode()] == b"three"
    clock.now += LOOK_SECONDS
    assert hidden.grants(("TOKEN",)) is changed


def test_volumes_that_swap_a_link_are_followed(hidden, tmp_path, clock) -> None:
    for folder, content in (("old", "one"), ("new", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "first").write_text(content)
    (tmp_path / "data").symlink_to("old")
    (tmp_path / "first").symlink_to("data/first")
    assert hidden.grants(("TOKEN",)).secrets[FAKE.encode()] == b"one"
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").rename(tmp_path / "data")
    clock.now += LOOK_SECONDS
    assert hidden.grants(("TOKEN",)).secrets[FAKE.encode()] == b"two"


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"s\n", b"s"), (b"s\r\n", b"s"), (b" s ", b" s "), (b"", b""), ("é".encode(), "é".encode())],
)
def test_a_line_end_at_the_end_is_no_part_of_it(hidden, tmp_path, content, secret) -> None:
    (tmp_path / "first").write_bytes(content)
    assert hidden.grants(("TOKEN",)).secrets[FAKE.encode()] == secret


@pytest.mark.parametrize("content", [b"\xff", b"a\0b", b"x" * (MOST_BYTES + 1)])
def test_what_is_no_text_is_not_used_and_told_once(hidden, tmp_path, clock, told, content) -> None:
    (tmp_path / "first").write_bytes(content)
    for _ in range(3):
        assert hidden.grants(("TOKEN",)).secrets == {FAKE.encode(): None}
        clock.now += LOOK_SECONDS
    (told,) = told
    assert told.startswith("TOKEN of container agent: what its file holds cannot be used")


def test_a_file_that_cannot_be_read_is_told(hidden, tmp_path, told) -> None:
    (tmp_path / "first").mkdir()
    assert hidden.grants(("TOKEN",)).secrets == {FAKE.encode(): None}
    assert told == ["TOKEN of container agent: its file cannot be read: Is a directory"]


def test_what_no_backend_asks_for_any_more_is_forgotten(hidden, tmp_path) -> None:
    (tmp_path / "first").write_text("one")
    first = hidden.grants(("TOKEN",))
    hidden.use([("TOKEN",)])
    assert hidden.grants(("TOKEN",)) is first
    hidden.use([])
    assert hidden.grants(("TOKEN",)) is not first


def test_placeholders_are_named_by_their_variables(hidden) -> None:
    assert (
        hidden.named([OTHER.encode(), FAKE.encode(), b"x"])
        == "KEY of container helper, TOKEN of container agent"
    )


def test_a_pod_without_hidden_secrets_is_false() -> None:
    assert not HiddenSecrets({})


def test_no_text_holds_a_secret(hidden, tmp_path) -> None:
    (tmp_path / "first").write_text("hunter2hunter2")
    grants = hidden.grants(("TOKEN",))
    assert "hunter2" not in repr((grants, vars(type(hidden)), hidden._read))


def test_a_file_that_vanishes_between_two_looks_is_missing(hidden, tmp_path, monkeypatch) -> None:
    path = tmp_path / "first"
    path.write_text("one")
    real = os.stat(path)
    path.unlink()
    monkeypatch.setattr(type(path), "stat", lambda self, **_: real)
    assert hidden.grants(("TOKEN",)).secrets == {FAKE.encode(): None}
