from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import compile_policy, load_objects
from mesh.policy.access.level import Combine, Trust
from tests.support.access_policies import SOURCE, Asked, Object, backend


@pytest.fixture(scope="session")
def asked() -> Callable[..., Asked]:
    """asked(*objects, principal=SOURCE, namespace="agents", combine="any") -> Asked; with a Backend, if none is
    given."""

    def make(
        *objects: Object, principal: str = SOURCE, namespace: str = "agents", combine: str = "any"
    ) -> Asked:
        given = list(objects)
        if not any(one["kind"] == "Backend" for one in given):
            given.append(backend())
        trust = Trust("cluster.local", combine=Combine(combine))
        policy = compile_policy(load_objects(given), labels={}, namespace=namespace, trust=trust)
        return Asked(policy, principal)

    return make
