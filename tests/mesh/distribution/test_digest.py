"""A version is that of the content, and of nothing else."""

from __future__ import annotations

import msgspec
import pytest

from mesh.distribution.digest import content_version
from mesh.distribution.messages import Configuration

ONE = Configuration("", [{"kind": "Backend", "spec": {"port": 1, "weight": 1e300}}], {"b": "2", "a": "1"})


def test_the_version_survives_the_way_and_does_not_depend_on_the_order_of_members() -> None:
    again = msgspec.json.decode(msgspec.json.encode(ONE), type=Configuration)
    turned = Configuration(
        "x", [{"spec": {"weight": 1e300, "port": 1}, "kind": "Backend"}], {"a": "1", "b": "2"}
    )
    assert content_version(again) == content_version(ONE) == content_version(turned)


@pytest.mark.parametrize(
    "other", [Configuration("", [], ONE.labels), Configuration("", ONE.documents, {"a": "1"})]
)
def test_other_content_is_another_version(other: Configuration) -> None:
    assert content_version(other) != content_version(ONE)
