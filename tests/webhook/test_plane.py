"""What every replica does in a cluster, against an API server of a few objects."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.support.api_server import FakeApiServer, serving
from tests.support.slow import until
from webhook.admission import metrics as series
from webhook.admission.namespaces import fixed_lookup
from webhook.admission.server import AdmissionServer
from webhook.admission.settings import InjectionSettings, NativeSidecars
from webhook.parts import Parts
from webhook.plane import Plane


def server_of(settings: InjectionSettings) -> AdmissionServer:
    return AdmissionServer(settings, fixed_lookup({}), lambda _entry: None)


async def test_namespaces_and_versions_come_from_the_cluster(tmp_path) -> None:
    fake = FakeApiServer()
    fake.install()
    fake.kubelets = ("v1.28.1",)
    server = server_of(InjectionSettings())
    async with serving(fake, tmp_path) as client, asyncio.timeout(20), asyncio.TaskGroup() as group:
        parts = Parts(server)
        parts.add_cluster(Plane(client, server.metrics, server.log), namespaces=True)
        assert [problem for source in parts.problems for problem in source()] != []
        tasks = [group.create_task(_run(task)) for task in parts.tasks]
        await until(lambda: server.settings.native_sidecars is NativeSidecars.NEVER)
        assert [problem for source in parts.problems for problem in source()] == []
        known = await server.look_up("agents")
        assert known.namespace.labels == {"outrider.dev/injection": "required"}
        assert server.metrics.get(series.NATIVE) == 0
        for task in tasks:
            task.cancel()


async def test_what_the_settings_say_is_not_asked_for(tmp_path) -> None:
    fake = FakeApiServer()
    server = server_of(replace(InjectionSettings(), native_sidecars=NativeSidecars.ALWAYS))
    async with serving(fake, tmp_path) as client:
        parts = Parts(server)
        parts.add_cluster(Plane(client, server.metrics, server.log), namespaces=False)
        for task in parts.tasks:
            await task()
        assert [problem for source in parts.problems for problem in source()] == []
    assert server.metrics.get(series.NATIVE) == 1
    assert fake.requests == []


async def _run(task) -> None:
    await task()


def test_a_certificate_in_files_is_a_problem_once_it_has_expired(tmp_path, monkeypatch) -> None:
    from datetime import UTC, datetime, timedelta

    from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, make_serving_files

    make_serving_files(tmp_path, ["x"], datetime.now(UTC), timedelta(days=1))
    parts = Parts(server_of(InjectionSettings()))
    parts.add_files(tmp_path / CERT_FILE, tmp_path / KEY_FILE, 10.0)
    assert parts.problems[0]() == []
    monkeypatch.setattr("webhook.parts.time.time", lambda: 1e12)
    assert parts.problems[0]() == ["the serving certificate has expired"]
