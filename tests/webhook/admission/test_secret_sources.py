from __future__ import annotations

import pytest

from webhook.admission.secret_sources import collective, exposures, from_secrets, secret_key


@pytest.mark.parametrize(
    "source",
    [
        None,
        {},
        {"secretKeyRef": None},
        {"secretKeyRef": "s"},
        {"secretKeyRef": {"name": "s"}},
        {"secretKeyRef": {"name": "", "key": "k"}},
        {"secretKeyRef": {"name": "s", "key": 3}},
        {"configMapKeyRef": {"name": "s", "key": "k"}},
    ],
)
def test_what_names_no_key_of_a_secret_comes_from_none(source) -> None:
    assert secret_key({"name": "X", "valueFrom": source}) is None


@pytest.mark.parametrize(
    ("optional", "read"), [({}, False), ({"optional": None}, False), ({"optional": True}, True)]
)
def test_a_reference_says_whether_it_may_be_missing(optional, read) -> None:
    variable = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", **optional}}}
    assert secret_key(variable) == ("s", "k", read)


WHOLE = {
    "name": "agent",
    "envFrom": [
        {"secretRef": {"name": "plain"}},
        {"prefix": "API_", "secretRef": {"name": "prefixed"}},
        {"configMapRef": {"name": "no-secret"}},
        {"prefix": None, "secretRef": {}},
    ],
}


def test_a_prefix_is_not_part_of_the_key() -> None:
    assert list(collective(WHOLE, "API_TOKEN")) == [("plain", "API_TOKEN"), ("prefixed", "TOKEN")]
    assert list(collective(WHOLE, "TOKEN")) == [("plain", "TOKEN")]
    assert list(collective(WHOLE, "API_")) == [("plain", "API_")]
    assert list(from_secrets(WHOLE)) == ["* of Secret plain (envFrom)", "API_* of Secret prefixed (envFrom)"]


def test_a_whole_secret_counts_by_its_name_and_a_key_by_both() -> None:
    assert list(exposures(WHOLE, [], ["plain"])) == ["envFrom of Secret plain"]
    assert list(exposures(WHOLE, [], [("prefixed", "k")])) == [
        "variable API_k comes from Secret prefixed by envFrom"
    ]
    assert list(exposures(WHOLE, [], [("other", "k"), "another"])) == []


def test_every_mount_of_a_volume_with_the_secret_is_told() -> None:
    volumes = [
        {"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "s"}}]}},
        {"name": "w", "secret": {"secretName": "s", "items": [{"key": "other", "path": "p"}, 3]}},
    ]
    container = {"name": "agent", "volumeMounts": [{"name": "v"}, {"name": "w"}, {"name": "x"}]}
    assert list(exposures(container, volumes, [("s", "k")])) == ["volume v holds Secret s"]
    assert list(exposures(container, volumes, ["s"])) == [
        "volume v holds Secret s",
        "volume w holds Secret s",
    ]
    part = {"name": "agent", "volumeMounts": [{"name": "v", "subPath": "other", "subPathExpr": "$(X)"}]}
    assert list(exposures(part, volumes, [("s", "k")])) == ["volume v holds Secret s"]


@pytest.mark.parametrize(
    "part",
    [
        "k",
        "./k",
        "k/",
        ".//k",
        "k/.",
        ".",
        "./",
        "..data",
        "..data/k",
        "./..data",
        "..2026_01_01_00_00_00.1/k",
    ],
)
def test_a_part_of_a_volume_shows_the_key_however_its_path_is_written(part) -> None:
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    container = {"name": "agent", "volumeMounts": [{"name": "v", "subPath": part}]}
    assert list(exposures(container, volumes, [("s", "k")])) == ["volume v holds Secret s"]


@pytest.mark.parametrize("part", ["other", "./other", "k2", "kk/k", "a/..data"])
def test_another_part_of_a_volume_does_not(part) -> None:
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    container = {"name": "agent", "volumeMounts": [{"name": "v", "subPath": part}]}
    assert list(exposures(container, volumes, [("s", "k")])) == []


@pytest.mark.parametrize(
    ("part", "shown"), [("a", True), ("b", True), ("c/d", True), ("c", True), ("x", False)]
)
def test_a_key_may_stand_in_a_volume_several_times(part, shown) -> None:
    items = [{"key": "k", "path": path} for path in ("a", "./b", "c//d")]
    volumes = [{"name": "v", "secret": {"secretName": "s", "items": items}}]
    container = {"name": "agent", "volumeMounts": [{"name": "v", "subPath": part}]}
    assert bool(list(exposures(container, volumes, [("s", "k")]))) is shown


def test_keys_are_looked_up_and_not_compared_one_by_one() -> None:
    class Counted(str):
        compared = 0
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    many = [Counted(f"k{number}") for number in range(200)]
    env = [{"name": k, "valueFrom": {"secretKeyRef": {"name": "s", "key": str(k)}}} for k in many]
    items = [{"key": str(key), "path": str(key)} for key in many]
    mounts = [{"name": "v", "mountPath": "/v"}]
    volumes = [{"name": "v", "secret": {"secretName": "s", "items": items}}]
    container = {"name": "agent", "env": env, "volumeMounts": mounts}
    found = list(exposures(container, volumes, [("s", key) for key in many]))
    assert len(found) == 400
    assert Counted.compared < 10 * len(many)
