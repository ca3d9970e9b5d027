"""Conversations on the configuration stream."""

from __future__ import annotations

import asyncio

import pytest

from mesh.distribution.messages import FromControl, FromSidecar
from mesh.identity.issuance import Refusal
from tests.support.control_stream import Control, control
from tests.support.control_world import agent_policy, backend, compiled, empty_world, pod, put
from tests.support.slow import slow_client_of, until
from webhook.admission import metrics as series
from webhook.admission.metrics import AdmissionMetrics
from webhook.distribution.hub import Hub, Limits
from webhook.distribution.kinds import AGENT_POLICY, BACKEND
from webhook.distribution.mailbox import QUIET_SECONDS, End
from webhook.distribution.stream import Patience
from webhook.distribution.world import World
from webhook.identity.callers import CallRefused

TRIAGE = pod(app="triage")
UID = TRIAGE.uid


@pytest.fixture
def world() -> World:
    made = empty_world()
    made.put_pod(TRIAGE)
    put(made, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "github"))
    return made


def ended(running: Control, why: End) -> bool:
    return running.hub.metrics.get(series.STREAMS_ENDED, str(why)) == 1


async def test_a_sidecar_gets_its_configuration_and_each_that_follows(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        assert await sidecar.connect("triage-1", UID) == 200
        first = await sidecar.configuration()
        assert first.version == compiled(world, TRIAGE).version
        assert [one["kind"] for one in first.documents] == ["AgentPolicy"]
        sidecar.applied(first.version)
        put(world, BACKEND, "github", backend())
        second = await sidecar.configuration()
        assert [one["kind"] for one in second.documents] == ["AgentPolicy", "Backend"]
        sidecar.applied(second.version)
        await until(lambda: running.hub.metrics.get(series.CONFIGURATIONS_ANSWERED, "applied") == 2)
        (mailbox,) = running.hub.mailboxes()
        assert mailbox.running is mailbox.offered
        text = running.hub.metrics.render()
        assert "outrider_control_push_seconds_count 2" in text
        assert "outrider_control_streams 1" in text
        sidecar.hang_up()
        assert await sidecar.ended() == []
        await until(lambda: ended(running, End.CLOSED))
        assert world.cohorts.of(TRIAGE).topics == frozenset()


async def test_who_has_the_version_already_is_told_nothing_but_that_it_was_taken_on(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        version = compiled(world, TRIAGE).version
        assert await sidecar.connect("triage-1", UID, version=version) == 200
        assert await sidecar.hear() == FromControl(alive=True)
        (mailbox,) = running.hub.mailboxes()
        assert mailbox.running is not None
        put(world, BACKEND, "github", backend())
        assert (await sidecar.configuration()).version != version


async def test_changes_that_come_together_are_sent_once(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        for place in range(20):
            put(world, BACKEND, f"b{place}", backend(f"b{place}.example"))
        second = await sidecar.configuration()
        assert len(second.documents) == 21
        assert running.hub.metrics.get(series.CONFIGURATIONS_SENT) == 2


async def test_a_change_and_its_undoing_say_nothing(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        first = await sidecar.configuration()
        sidecar.applied(first.version)
        put(world, BACKEND, "github", backend())
        world.remove(BACKEND, "agents", "github")
        put(world, AGENT_POLICY, "elsewhere", agent_policy(), "tools")
        await asyncio.sleep(0.1)
        assert running.hub.metrics.get(series.CONFIGURATIONS_SENT) == 1


async def test_a_refusal_is_logged_with_its_reason(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        first = await sidecar.configuration()
        sidecar.refuse(first.version, detail="x" * 10_000)
        await until(lambda: running.hub.metrics.get(series.CONFIGURATIONS_ANSWERED, "refused") == 1)
        (line,) = [one for one in running.log if one["event"] == "configuration_refused"]
        assert line["reason"] == "policy_invalid"
        assert len(str(line["detail"])) == 4000
        (mailbox,) = running.hub.mailboxes()
        assert mailbox.running is None
        assert mailbox.refusal is not None


async def test_the_newest_stream_of_a_pod_is_the_one(world) -> None:
    async with control(world) as running:
        older, newer = running.sidecar(), running.sidecar()
        await older.connect("triage-1", UID)
        await older.configuration()
        await newer.connect("triage-1", UID)
        await newer.configuration()
        assert await older.ended() == []
        assert ended(running, End.REPLACED)
        put(world, BACKEND, "github", backend())
        assert len((await newer.configuration()).documents) == 2


async def test_a_certificate_takes_no_other_address_its_stream(world) -> None:
    now = [0.0]
    hub = Hub(world, AdmissionMetrics(), clock=lambda: now[0])
    mine = hub.connect(TRIAGE, "", "10.0.0.1", certain=False)
    for elsewhere in ("10.0.0.2", ""):
        with pytest.raises(CallRefused) as refused:
            hub.connect(TRIAGE, "", elsewhere, certain=False)
        assert refused.value.refusal is Refusal.CALLER_REFUSED
        assert "its token is needed" in refused.value.detail
    assert mine.end is None
    again = hub.connect(TRIAGE, "", "10.0.0.1", certain=False)
    assert mine.end is End.REPLACED
    by_token = hub.connect(TRIAGE, "", "10.0.0.2", certain=True)
    assert again.end is End.REPLACED
    now[0] += QUIET_SECONDS
    hub.connect(TRIAGE, "", "10.0.0.3", certain=False)
    assert by_token.end is End.REPLACED, "it has missed its turn"
    (over,) = hub.mailboxes()
    over.finish(End.CLOSED)
    hub.connect(TRIAGE, "", "10.0.0.4", certain=False)


async def test_who_may_be_another_pod_of_the_account_is_refused_and_the_stream_goes_on(world) -> None:
    async with control(world) as running:
        mine, other = running.sidecar(), running.sidecar()
        assert await mine.connect("triage-1", UID) == 200
        first = await mine.configuration()
        (mailbox,) = running.hub.mailboxes()
        assert mailbox.address == "127.0.0.1"
        mailbox.address, mailbox.heard = "10.0.0.1", 0.0
        mine.applied(first.version)
        await until(lambda: mailbox.heard > 0.0)
        assert await other.connect("triage-1", UID) == 403
        assert (await other.refusal())["error"] == "caller_refused"
        assert running.log[-1]["event"] == "stream_refused"
        put(world, BACKEND, "github", backend())
        assert len((await mine.configuration()).documents) == 2
        by_token = running.sidecar(f"agents triage triage-1 {UID}")
        assert await by_token.connect("triage-1", UID) == 200


async def test_a_pod_that_goes_takes_its_stream_along(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        world.remove_pod("agents", "triage-1")
        assert await sidecar.ended() == []
        assert ended(running, End.POD_GONE)


async def test_a_namesake_of_a_pod_is_another_pod(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        world.put_pod(pod(uid="another", app="triage"))
        await sidecar.ended()
        assert ended(running, End.POD_GONE)


async def test_a_pod_whose_labels_change_gets_what_these_select(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        world.put_pod(pod(app="other"))
        second = await sidecar.configuration()
        assert second.labels == {"app": "other"}
        assert second.documents == []


async def test_what_proves_a_caller_ends_the_stream_with_it(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar(f"agents triage triage-1 {UID} 0.1")
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        heard = await sidecar.ended()
        assert [one.leave.seconds for one in heard if one.leave] == [0.0]
        assert ended(running, End.EXPIRED)


async def test_a_replica_that_drains_asks_its_sidecars_to_go(world) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        running.hub.drain(5.0)
        message = await sidecar.hear()
        assert message is not None
        assert message.leave is not None
        assert message.leave.seconds <= 5
        late = running.sidecar()
        assert await late.connect("triage-1", UID) == 503


async def test_both_ends_say_that_they_live(world) -> None:
    async with control(world, Patience(alive=0.05, silence=0.3)) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        for _ in range(10):
            assert await sidecar.hear() == FromControl(alive=True)
            sidecar.say(FromSidecar(alive=True))
        assert [one for one in await sidecar.ended() if not one.alive] == []
        assert ended(running, End.SILENT)


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"x" * 70_000, b"x" * 70_000 + b"\n", b'{"applied": 3}\n', b"[" * 60_000 + b"\n"]
)
async def test_what_nobody_understands_ends_the_stream(world, line) -> None:
    async with control(world) as running:
        sidecar = running.sidecar()
        await sidecar.connect("triage-1", UID)
        await sidecar.configuration()
        sidecar.raw(line)
        await sidecar.ended()
        assert ended(running, End.MALFORMED)
        assert [one["event"] for one in running.log] == ["stream_malformed"]


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"alive":true}\n', b"x" * 70_000, b"\n\n"])
async def test_who_begins_without_hello_is_refused(world, line) -> None:
    async with control(world, Patience(hello=0.2)) as running:
        sidecar = running.sidecar()
        assert await sidecar.begin(line) == 400
        assert (await sidecar.refusal())["error"] == "malformed"
        assert [one["event"] for one in running.log] == ["stream_refused"]


async def test_a_sidecar_that_does_not_read_costs_no_more_than_one_configuration(world) -> None:
    async with control(world, Patience(write=0.2)) as running, slow_client_of(running.port) as client:
        hello = b'{"hello":{"namespace":"agents","pod":"triage-1","uid":"%s","sidecar":""}}\n' % UID.encode()
        head = b"POST /v1/configuration HTTP/1.1\r\nHost: x\r\nX-Caller: agents triage\r\n"
        client.writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(hello), hello))
        await until(lambda: len(list(running.hub.mailboxes())) == 1)
        (mailbox,) = running.hub.mailboxes()
        for place in range(200):
            many = [f"tool_{place}_{number}_" + "x" * 100 for number in range(1_000)]
            for name in ("mine", "yours"):
                policy = {"outbound": [{"backend": "github", "tools": {"allow": many}}]}
                put(world, AGENT_POLICY, name, policy, generation=place + 2)
            await asyncio.sleep(0.025)
            if mailbox.end is not None:
                break
        assert mailbox.end is End.SLOW
        await until(lambda: ended(running, End.SLOW))


async def test_no_more_streams_than_there_is_room_for(world) -> None:
    world.put_pod(pod("triage-2", app="triage"))
    async with control(world, limits=Limits(streams=1)) as running:
        sidecar, other = running.sidecar(), running.sidecar()
        assert await sidecar.connect("triage-1", UID) == 200
        assert await other.connect("triage-2", "uid-agents-triage-2") == 503
        refusal = await other.refusal()
        assert (refusal["error"], refusal["retryAfterSeconds"]) == ("unavailable", 2)


async def test_who_says_no_hello_keeps_nobody_else_out(world) -> None:
    limits = Limits(handshakes=8)
    async with control(world, limits=limits) as running, asyncio.TaskGroup() as group:
        mute = [running.sidecar("evil none evil-1 u1") for _ in range(20)]
        waiting = [group.create_task(one.begin(b"")) for one in mute]
        await until(lambda: sum(one.done() for one in waiting) == 16)
        assert {one.result() for one in waiting if one.done()} == {429}
        assert await running.sidecar().connect("triage-1", UID) == 200
        for one in waiting:
            one.cancel()


async def test_no_configuration_before_all_policies_were_seen(world) -> None:
    async with control(world, synced=False) as running:
        sidecar = running.sidecar()
        assert await sidecar.connect("triage-1", UID) == 503


async def test_a_pod_that_the_watch_brings_a_moment_later_is_waited_for(world) -> None:
    async with control(world, limits=Limits(pod_seconds=5)) as running:
        sidecar = running.sidecar("agents triage late uid-agents-late")
        async with asyncio.TaskGroup() as group:
            status = group.create_task(sidecar.connect("late", "uid-agents-late"))
            await asyncio.sleep(0.05)
            world.put_pod(pod("late", app="triage"))
        assert status.result() == 200
        assert len((await sidecar.configuration()).documents) == 1


async def test_one_caller_waits_for_a_pod_that_is_not_there_only_so_often_at_once(world) -> None:
    limits = Limits(pod_seconds=5, of_one=8)
    async with control(world, limits=limits) as running, asyncio.TaskGroup() as group:
        callers = [running.sidecar("agents triage late uid-agents-late") for _ in range(4)]
        waiting = [group.create_task(one.connect("late", "uid-agents-late")) for one in callers]
        await asyncio.sleep(0.1)
        assert (
            await running.sidecar("agents triage late uid-agents-late").connect("late", "uid-agents-late")
            == 403
        )
        world.put_pod(pod("late", app="triage"))
        assert [await one for one in waiting] == [200] * 4
