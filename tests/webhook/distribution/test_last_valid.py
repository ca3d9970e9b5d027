"""Last valid versions travel to replicas to come, as far as there is room."""

from __future__ import annotations

import base64
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.distribution.digest import digest_of
from tests.support.control_world import agent_policy, empty_world, put
from webhook.distribution.kinds import AGENT_POLICY, Key
from webhook.distribution.last_valid import MOST_PACKED, Packed, pack_valid, unpack_valid
from webhook.distribution.objects import Document
from webhook.distribution.reports import pack


def document(name: str, size: int, namespace: str = "agents", *, noise: bool = True) -> Document:
    chance = random.Random(name)
    body = chance.randbytes(size // 2).hex() if noise else "x" * size
    encoded = body.encode()
    return Document(Key(AGENT_POLICY, namespace, name), 1, encoded, digest_of(encoded))


def kept(*documents: Document) -> dict[tuple[Key, str], Document]:
    return {(one.key, "uid"): one for one in documents}


def names(packed: Packed) -> set[str]:
    return {key.name for key, _ in unpack_valid(packed.text)}


def test_they_travel_there_and_back() -> None:
    world = empty_world()
    put(world, AGENT_POLICY, "mine", agent_policy())
    mine = world.entries[Key(AGENT_POLICY, "agents", "mine")].document
    packed = pack_valid({(mine.key, "uid"): mine})
    ((key, again),) = unpack_valid(packed.text).items()
    assert key == (mine.key, "uid")
    assert (again.body, again.digest, again.generation) == (mine.body, mine.digest, 1)
    assert packed.left_out == ()


def test_nothing_takes_no_room() -> None:
    assert pack_valid({}) == Packed("", ())


@pytest.mark.parametrize("noise", [True, False])
def test_what_has_no_room_is_left_out_and_named(noise) -> None:
    huge = document("huge", 5 * 1024 * 1024, noise=noise)
    packed = pack_valid(kept(huge, document("small", 500)))
    assert names(packed) == {"small"}
    assert packed.left_out == ("AgentPolicy.outrider.dev/agents/huge",)
    assert pack_valid(kept(huge)) == Packed("", packed.left_out)


def test_a_heap_of_one_namespace_costs_others_nothing() -> None:
    heap = [document(f"evil-{number}", 20_000, "evil") for number in range(200)]
    mine = [document(f"mine-{number}", 20_000) for number in range(5)]
    packed = pack_valid(kept(*heap, *mine))
    assert {one.key.name for one in mine} <= names(packed)
    assert len(names(packed)) + len(packed.left_out) == 205
    assert 0.8 * MOST_PACKED < len(base64.b64decode(packed.text)) <= MOST_PACKED


def test_the_order_of_what_is_known_says_nothing() -> None:
    documents = [document(f"d-{number}", 1000) for number in range(5)]
    assert pack_valid(kept(*documents)) == pack_valid(kept(*reversed(documents)))


@pytest.mark.parametrize(
    "text",
    ["", "!", "AAAA", pack([1]), pack({"beat": "x"}), base64.b64encode(zlib.compress(b"[" * 99)).decode()],
)
def test_what_nobody_can_read_says_nothing(text) -> None:
    assert unpack_valid(text) == {}


@given(st.text())
def test_anything_can_stand_there(text) -> None:
    unpack_valid(text)
