"""What the leader does next, as a function of what is there and of the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.certificates.bundles import Configuration
from webhook.certificates.issue import CLOCK_SKEW, Lifetimes, dns_names, make_authority, make_leaf
from webhook.certificates.material import Found, Material, bundle, read, signed_by, write
from webhook.certificates.plan import Act, Scene, next_step, perform

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMES = Lifetimes()
NAMES = dns_names("outrider-webhook", "outrider-system", "cluster.local")
AUTHORITY = make_authority(NOON, TIMES.authority)
WHOLE = Material(AUTHORITY, make_leaf(AUTHORITY, NAMES, NOON, TIMES.leaf))
NEXT = make_authority(NOON, TIMES.authority)


def scene(material: Material = WHOLE, **changes: Any) -> Scene:
    first = Scene(Found(material), None, NOON, (), NAMES, NOON)
    return replace(first, **changes)


@pytest.mark.parametrize(
    ("given_", "act"),
    [
        (scene(), Act.REST),
        (scene(published_since=None), Act.PUBLISH),
        (scene(Material()), Act.FOUND),
        (scene(replace(WHOLE, leaf=None)), Act.ISSUE),
        (scene(names=("other",)), Act.ISSUE),
        (scene(now=NOON + timedelta(days=4.6)), Act.REST),
        (scene(now=NOON + timedelta(days=4.7)), Act.ISSUE),
        (scene(now=NOON + timedelta(days=8)), Act.ISSUE),
        (scene(now=NOON + timedelta(days=366)), Act.FOUND),
        (scene(now=NOON - CLOCK_SKEW), Act.REST),
        (scene(now=NOON - timedelta(days=1)), Act.FOUND),
        (scene(replace(WHOLE, rotate=True)), Act.ANNOUNCE),
        (scene(replace(WHOLE, successor=NEXT)), Act.REST),
        (scene(replace(WHOLE, successor=NEXT), published_since=None), Act.PUBLISH),
        (scene(replace(WHOLE, successor=NEXT), now=NOON + timedelta(seconds=60)), Act.SWITCH),
    ],
)
def test_each_state_has_its_next_act(given_, act) -> None:
    assert next_step(given_, TIMES).act is act


def test_faults_without_anything_remembered_cost_only_what_is_broken() -> None:
    told = ("next-ca.crt: broken",)
    assert next_step(scene(found=Found(WHOLE, told)), TIMES).act is Act.CLEAN
    step = next_step(scene(found=Found(replace(WHOLE, leaf=None), ("tls.crt: broken",))), TIMES)
    assert (step.act, step.why) == (Act.ISSUE, "tls.crt: broken")
    assert next_step(scene(found=Found(WHOLE, told), remembered=WHOLE), TIMES).act is Act.RESTORE
    removed = scene(replace(WHOLE, authority=None), remembered=WHOLE)
    assert next_step(removed, TIMES).act is Act.RESTORE
    assert perform(next_step(removed, TIMES), removed, TIMES) == WHOLE
    stale = scene(found=Found(Material(), told), remembered=WHOLE, now=NOON + timedelta(days=8))
    assert next_step(stale, TIMES).act is Act.FOUND


@pytest.mark.parametrize("times", [(1, 7, 60), (365, 0, 0), (365, 7, 7 * 86400)])
def test_lifetimes_that_cannot_overlap_are_refused(times) -> None:
    authority, leaf, announced = times
    with pytest.raises(ValueError, match="three times"):
        Lifetimes(timedelta(days=authority), timedelta(days=leaf), timedelta(seconds=announced))


def test_a_leaf_that_would_be_due_as_soon_as_it_is_made_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 150 s"):
        Lifetimes(timedelta(days=1), timedelta(seconds=150), timedelta(seconds=2))
    shortest = Lifetimes(timedelta(days=1), timedelta(seconds=153), timedelta(seconds=2))
    material = Material(AUTHORITY, make_leaf(AUTHORITY, NAMES, NOON, shortest.leaf))
    assert next_step(scene(material), shortest).act is Act.REST


SHORT = Lifetimes(timedelta(hours=6), timedelta(hours=1), timedelta(minutes=1))
TICKS = st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=15, deadline=None)
@given(TICKS)
def test_whatever_is_served_is_trusted_at_every_moment(ticks) -> None:
    """Minutes pass, entries are reset, operators rotate; a replica serves a leaf until it has expired."""
    now, material, published = NOON, Material(), b""
    since: datetime | None = None
    served: list[Any] = []
    for minutes, resets, rotates in ticks:
        now += timedelta(minutes=minutes)
        if resets:
            since = None
        if rotates and material.authority is not None:
            material = replace(material, rotate=True)
        for _ in range(20):
            view = scene(material, now=now, published_since=since)
            step = next_step(view, SHORT)
            if step.act is Act.REST:
                assert step.until is not None
                assert step.until > now
                break
            if step.act is Act.PUBLISH:
                published, since = bundle(material.trusted), now
                continue
            before, material = material, read(write(perform(step, view, SHORT))).material
            if bundle(before.trusted) != bundle(material.trusted):
                since = None
        else:
            raise AssertionError("it never rests")
        assert material.leaf is not None
        if material.leaf.certificate not in served:
            served.append(material.leaf.certificate)
        assert published == bundle(material.trusted)
        for leaf in served:
            trusted = any(signed_by(leaf, authority) for authority in material.trusted)
            founded_anew = now - leaf.not_valid_after_utc > timedelta()
            assert trusted or founded_anew, step


def test_a_patch_sets_every_entry_that_differs_and_names_it() -> None:
    configuration = Configuration("x", "7", (("a", b"old"), ("b", b"new"), ("c", b"")))
    assert [operation["path"] for operation in configuration.patch(b"new")] == [
        "/metadata/resourceVersion",
        "/webhooks/0/name",
        "/webhooks/0/clientConfig/caBundle",
        "/webhooks/2/name",
        "/webhooks/2/clientConfig/caBundle",
    ]
    assert Configuration("x", "7", (("b", b"new"),)).patch(b"new") == []
    assert Configuration("x", "7", ()).holds(b"new")


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(write(replace(WHOLE, successor=NEXT)))),
    st.text(max_size=40) | st.sampled_from(list(write(WHOLE).values())),
)
def test_whatever_stands_in_a_secret_is_read_without_failing(name, value) -> None:
    found = read({**write(replace(WHOLE, successor=NEXT)), name: value})
    step = next_step(Scene(found, None, None, (), NAMES, NOON), TIMES)
    assert step.act in Act
