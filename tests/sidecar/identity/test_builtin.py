"""The built-in provider against the CA server, over real TLS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh.identity.bundle_document import BundleDocument
from mesh.identity.ca import make_authority
from mesh.identity.errors import IdentityInvalid, PeerRefused, SvidInvalid
from mesh.identity.issuance import BundlesAnswer, JwtSvidAnswer, SvidAnswer
from mesh.identity.issue import new_svid
from mesh.identity.jwt_svid import issue_jwt_svid, make_jwt_key, validate_jwt_svid
from mesh.identity.pem import CERTIFICATE, read_certificates, write_pem
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from mesh.identity.verify import verify_peer
from sidecar.control.failed import CallFailed, Cause
from sidecar.control.saved import SavedState
from sidecar.control.trust import ControlTrust
from sidecar.identity.backoff import Backoff
from sidecar.identity.builtin import BuiltinProvider
from sidecar.identity.ca_client import CaClient
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.jwt_source import JwtSource, JwtUnavailable
from sidecar.identity.kept_identity import KeptIdentity
from sidecar.identity.provider import Identity
from sidecar.settings import AgentSettings
from sidecar.tasks import spawn
from tests.support.ca import RunningCa, running_ca
from webhook.identity.asking_certificate import AskingCertificate
from webhook.identity.authorities import quick_times
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE

TRIAGE = SpiffeId("a.example", "/ns/agents/sa/triage")


class Watch:
    """A provider whose time passes only when it sleeps, and only as far as the test lets it."""

    def __init__(
        self,
        ca: RunningCa,
        client: Any = None,
        spiffe_id: str | None = None,
        kept: KeptIdentity | None = None,
    ) -> None:
        self.ca = ca
        self.identities: list[Identity] = []
        self.problems: list[str] = []
        self.delays: list[float] = []
        self.refuse: Exception | None = None
        self.asleep = asyncio.Event()
        self._wake = asyncio.Event()
        self.provider = BuiltinProvider(
            client or CaClient(ca.target, ControlTrust(ca.root.read_text()), ca.token, 5.0),
            spiffe_id=spiffe_id,
            on_problem=self.problems.append,
            kept=kept,
            backoff=Backoff(first=1, longest=4, draw=lambda: 1.0),
            clock=ca.clock,
            sleep=self._sleep,
            draw=lambda: 0.0,
        )

    async def _sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self._wake.clear()
        self.asleep.set()
        await self._wake.wait()
        self.ca.clock.move(seconds)

    async def pass_sleep(self) -> None:
        """Let the provider sleep through and act until it sleeps again."""
        await self.asleep.wait()
        self.asleep.clear()
        self._wake.set()
        await self.asleep.wait()

    async def pass_until(self, condition: Callable[[], bool], most: int = 300) -> None:
        await self.asleep.wait()
        for _ in range(most):
            if condition():
                return
            await self.pass_sleep()
        raise AssertionError(f"not within {most} sleeps: {self.problems}")

    def publish(self, identity: Identity) -> None:
        if self.refuse is not None:
            raise self.refuse
        if not self.identities or self.identities[-1] != identity:
            self.identities.append(identity)


@asynccontextmanager
async def watching(
    ca: RunningCa, client: Any = None, spiffe_id: str | None = None, kept: KeptIdentity | None = None
) -> AsyncIterator[Watch]:
    watch = Watch(ca, client, spiffe_id, kept)
    task = spawn(watch.provider.run(watch.publish), name="provider")
    try:
        async with asyncio.timeout(60):
            await watch.asleep.wait()
            yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_service_account_gets_its_identity(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        (identity,) = watch.identities
        assert identity.svid.spiffe_id == TRIAGE
        assert verify_peer(identity.svid.chain_der, identity.bundles, ca.clock()) == TRIAGE
        IdentityHolder(ca.clock).publish(identity)
        (record,) = ca.audit
        assert record["event"] == "svid_issued"
        assert record["pod"] == "triage-1"
        assert watch.problems == []


async def test_federated_bundles_come_along(tmp_path: Path) -> None:
    foreign = make_authority("b.example", datetime.now(UTC), timedelta(days=1))
    federated = {"b.example": BundleDocument(foreign.bundle)}
    async with running_ca(tmp_path, federated=federated) as ca, watching(ca) as watch:
        assert set(watch.identities[0].bundles) == {"a.example", "b.example"}
        assert watch.identities[0].bundles["b.example"] == foreign.bundle


async def test_an_svid_is_renewed_with_a_new_key_at_half_of_its_life(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        begun = ca.clock()
        await watch.pass_until(lambda: len(watch.identities) == 2)
        first, second = watch.identities
        assert timedelta(minutes=29) < ca.clock() - begun < timedelta(minutes=32)
        assert first.svid.key_pkcs8_der != second.svid.key_pkcs8_der
        assert ca.events() == ["svid_issued"] * 2
        assert max(watch.delays) <= 60


async def test_rotation_of_the_authority_reaches_everyone_before_it_signs(tmp_path: Path) -> None:
    times = quick_times(timedelta(hours=8), timedelta(hours=1), timedelta(minutes=15))
    async with running_ca(tmp_path, times=times) as ca, watching(ca) as watch:
        before = watch.identities[0].bundles["a.example"]
        ca.authorities.announce()
        await watch.pass_until(lambda: len(watch.identities) == 2)
        announced = watch.identities[1]
        assert announced.svid == watch.identities[0].svid
        assert len(announced.bundles["a.example"].authorities_der) == 2
        await watch.pass_until(lambda: watch.identities[-1].svid != announced.svid)
        renewed = watch.identities[-1].svid
        # Who has not looked since the announcement accepts the SVID of the new authority all the same.
        assert verify_peer(renewed.chain_der, announced.bundles, ca.clock()) == TRIAGE
        with pytest.raises(Exception, match="does not chain"):
            verify_peer(renewed.chain_der, {"a.example": before}, ca.clock())


async def test_a_withdrawn_authority_makes_for_a_new_svid_at_the_next_look(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        ca.authorities.replace_now()
        begun = ca.clock()
        await watch.pass_until(lambda: watch.identities[-1].svid != watch.identities[0].svid)
        assert ca.clock() - begun < timedelta(minutes=6)
        newest = watch.identities[-1]
        assert verify_peer(newest.svid.chain_der, newest.bundles, ca.clock()) == TRIAGE
        assert watch.problems == []


class WithoutRenewal:
    """A CA whose bundles can be had, and SVIDs only until they are refused."""

    def __init__(self, ca: RunningCa) -> None:
        self.real = CaClient(ca.target, ControlTrust(ca.root.read_text()), ca.token)
        self.failure: Exception | None = None
        self.bundles: Callable[[], Awaitable[BundlesAnswer]] = self.real.bundles

    async def svid(self, csr: str) -> SvidAnswer:
        if self.failure is not None:
            raise self.failure
        return await self.real.svid(csr)


RATE_LIMITED = CallFailed(Cause.RATE_LIMITED, "asked too often", 60)


@pytest.mark.parametrize("failed_before", [False, True])
async def test_a_withdrawn_authority_is_trusted_no_more_though_no_new_svid_can_be_had(
    tmp_path: Path, failed_before: bool
) -> None:
    async with running_ca(tmp_path) as ca:
        client = WithoutRenewal(ca)
        async with watching(ca, client) as watch:
            holder = IdentityHolder(ca.clock)
            leaked, ours = ca.authorities.signing, watch.identities[0].svid
            client.failure = RATE_LIMITED
            if failed_before:  # then the renewal is due, and all that is asked for
                await watch.pass_until(lambda: bool(watch.problems))
            ca.authorities.replace_now()
            begun = ca.clock()
            await watch.pass_until(lambda: len(watch.identities) == 2)
            assert ca.clock() - begun < timedelta(minutes=6)
            assert watch.identities[1].svid == ours
            holder.publish(watch.identities[1])
            assert holder.ready(ca.clock())
            forged = new_svid(leaked, TRIAGE, ca.clock(), timedelta(hours=1))
            with pytest.raises(PeerRefused, match="does not chain"):
                holder.verify(forged.chain_der)
            problem = watch.problems[-1]
            assert "asked too often" in problem
            assert f"lasts until {ours.not_after}" in problem
            assert "withdrawn" in problem
            assert len(watch.problems) == 1 + failed_before
            client.failure = None
            await watch.pass_until(lambda: len(watch.identities) == 3)
            newest = watch.identities[-1]
            assert verify_peer(newest.svid.chain_der, newest.bundles, ca.clock()) == TRIAGE


async def test_a_withdrawn_authority_is_not_trusted_while_the_new_svid_is_awaited(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca:
        client = WithoutRenewal(ca)
        published: list[int] = []

        async with watching(ca, client) as watch:
            real = client.real

            class Slow(WithoutRenewal):
                async def svid(self, csr: str) -> SvidAnswer:
                    published.append(len(watch.identities))
                    return await real.svid(csr)

            client.__class__ = Slow
            ca.authorities.replace_now()
            await watch.pass_until(lambda: bool(published))
            assert published == [2]


async def test_bundles_are_looked_at_while_renewal_fails(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca:
        client = WithoutRenewal(ca)
        async with watching(ca, client) as watch:
            client.failure = RATE_LIMITED
            await watch.pass_until(lambda: bool(watch.problems))
            ca.authorities.announce()
            await watch.pass_until(lambda: len(watch.identities) == 2)
            assert len(watch.identities[1].bundles["a.example"].authorities_der) == 2
            await watch.pass_sleep()
            # What is published looks like success to whoever reports; the problem that is left is told after it.
            assert len(watch.problems) == 2
            assert not any("withdrawn" in problem for problem in watch.problems)


async def test_bundles_without_our_own_domain_are_not_taken(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca:
        client = WithoutRenewal(ca)

        async def none_of_ours() -> BundlesAnswer:
            return BundlesAnswer({}, ca.clock())

        async with watching(ca, client) as watch:
            client.failure = RATE_LIMITED
            client.bundles = none_of_ours
            await watch.pass_until(lambda: bool(watch.problems))
            assert len(watch.identities) == 1


async def test_an_authority_list_that_is_empty_revokes_everyone(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca:
        client = WithoutRenewal(ca)

        async def nobody() -> BundlesAnswer:
            return BundlesAnswer({"a.example": {"keys": []}}, ca.clock())

        async with watching(ca, client) as watch:
            client.failure = RATE_LIMITED
            client.bundles = nobody
            await watch.pass_until(lambda: len(watch.identities) == 2)
            holder = IdentityHolder(ca.clock)
            holder.publish(watch.identities[1])
            with pytest.raises(PeerRefused, match="no authority"):
                holder.verify(watch.identities[0].svid.chain_der)


async def test_a_ca_that_is_gone_is_told_once_and_asked_until_it_is_back(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        await ca.stop()
        await watch.pass_until(lambda: len(watch.problems) == 1)
        watch.delays.clear()
        for _ in range(8):
            await watch.pass_sleep()
        assert watch.delays[-4:] == [4, 4, 4, 4]
        assert len(watch.problems) == 1
        assert "cannot be reached" in watch.problems[0]
        assert "lasts until" in watch.problems[0]
        assert len(watch.identities) == 1
        await ca.start()
        await watch.pass_until(lambda: len(watch.identities) == 2)
        await ca.stop()
        await watch.pass_until(lambda: len(watch.problems) == 2)


async def test_a_ca_that_is_gone_for_longer_than_an_svid_lives_is_still_asked(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        holder = IdentityHolder(ca.clock)
        holder.publish(watch.identities[0])
        await ca.stop()
        ca.clock.move(2 * 3600)
        await watch.pass_sleep()
        assert not holder.ready(ca.clock())
        (ca.folder / "token").write_text(ca.tokens.token())
        await ca.start()
        await watch.pass_until(lambda: len(watch.identities) == 2)
        holder.publish(watch.identities[1])
        assert holder.ready(ca.clock())
        assert len(watch.problems) == 1


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda ca: ca.token.unlink(), "the ServiceAccount token: .* cannot be read"),
        (lambda ca: ca.token.write_text(""), "holds no ServiceAccount token"),
        (lambda ca: ca.token.write_text("a b"), "holds no ServiceAccount token"),
        (lambda ca: ca.token.write_text("a.b.c"), "refuses our ServiceAccount token"),
        (lambda ca: ca.token.write_text(ca.tokens.token(exp=1)), "takes our .* expired.*its clock says"),
        (lambda ca: ca.token.write_text(ca.tokens.token(aud=["x"])), "for the audience"),
        (lambda ca: ca.root.write_text("x"), "control.roots cannot be used"),
        (lambda ca: ca.root.write_bytes(other_root()), "not vouched for by"),
    ],
)
async def test_each_failure_is_told_by_its_cause(tmp_path: Path, spoil: Any, sentence: str) -> None:
    async with running_ca(tmp_path) as ca:
        spoil(ca)
        async with watching(ca) as watch:
            await watch.pass_sleep()
            assert watch.identities == []
            (problem,) = watch.problems
            with pytest.raises(AssertionError, match=sentence):
                raise AssertionError(problem)


async def test_a_token_that_is_mended_is_read_afresh_and_roots_may_be_learned(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca:
        learned: list[bytes] = []
        trust = ControlTrust(other_root().decode(), lambda: learned)
        ca.token.write_text("a.b.c")
        async with watching(ca, CaClient(ca.target, trust, ca.token)) as watch:
            learned += read_certificates(ca.root.read_bytes())
            await watch.pass_sleep()
            ca.token.write_text(ca.tokens.token())
            await watch.pass_until(lambda: len(watch.identities) == 1)
            assert len(watch.problems) == 2


async def test_an_identity_that_we_must_not_have_is_not_taken(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca, spiffe_id="spiffe://a.example/ns/x/sa/y") as watch:
        assert watch.identities == []
        assert "not of spiffe://a.example/ns/x/sa/y" in watch.problems[0]


async def test_an_identity_that_cannot_be_published_is_told(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        watch.refuse = SvidInvalid("OpenSSL does not take it")
        await watch.pass_until(lambda: bool(watch.problems))
        assert "OpenSSL does not take it" in watch.problems[0]


async def test_clocks_that_differ_are_told_as_such(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca:
        real = CaClient(ca.target, ControlTrust(ca.root.read_text()), ca.token)

        class Skewed:
            async def svid(self, csr: str) -> SvidAnswer:
                answer = await real.svid(csr)
                ca.clock.move(-7200)
                return answer

        async with watching(ca, Skewed()) as watch:
            assert watch.identities == []
            assert "our clock and the CA's differ" in watch.problems[0]
            assert "not valid before" in watch.problems[0]


async def test_a_caller_that_asks_too_often_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    async with running_ca(tmp_path, per_minute=1.0, burst=1) as ca:
        async with watching(ca) as first:
            assert len(first.identities) == 1
        async with watching(ca) as second:
            assert "asked too often" in second.problems[0]
            assert second.delays == [60]


async def test_jwt_svids_are_for_the_audience_that_is_asked_for(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        assert isinstance(watch.provider, JwtSource)
        svid = await watch.provider.jwt_svid(("https://idp.example", "db"))
        keys = {"a.example": ca.authorities.bundle().jwt_keys}
        assert validate_jwt_svid(svid.token, "db", keys, ca.clock())[0] == TRIAGE == svid.spiffe_id
        assert ca.audit[-1]["audience"] == ["https://idp.example", "db"]
        assert svid.token not in str(ca.audit)


async def test_without_a_token_there_is_a_reason(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        await ca.stop()
        with pytest.raises(JwtUnavailable, match="cannot be reached"):
            await watch.provider.jwt_svid(("db",))


@pytest.mark.parametrize(
    ("identity", "audience", "minutes", "complaint"),
    [
        (SpiffeId("a.example", "/other"), "db", 5, "and we are"),
        (TRIAGE, "other", 5, "cannot be used"),
        (TRIAGE, "db", -5, "the token expired"),
    ],
)
async def test_a_token_that_would_be_refused_is_not_handed_out(
    tmp_path: Path, identity: SpiffeId, audience: str, minutes: int, complaint: str
) -> None:
    async with running_ca(tmp_path) as ca:
        real = CaClient(ca.target, ControlTrust(ca.root.read_text()), ca.token)

        class Forger:
            svid = real.svid

            async def jwt_svid(self, wanted: tuple[str, ...]) -> JwtSvidAnswer:
                now = ca.clock()
                lifetime = timedelta(minutes=minutes)
                return JwtSvidAnswer(issue_jwt_svid(make_jwt_key(), identity, [audience], now, lifetime), now)

        async with watching(ca, Forger()) as watch:
            with pytest.raises(JwtUnavailable, match=complaint):
                await watch.provider.jwt_svid(("db",))


async def test_nothing_that_a_ca_answers_stops_the_provider(tmp_path: Path) -> None:
    answers: list[Any] = [
        SvidAnswer("", {}, datetime.now(UTC)),
        SvidAnswer("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n", {}, datetime.now(UTC)),
        CallFailed(Cause.UNAVAILABLE, "later", 1e9),
        IdentityInvalid("odd"),
    ]

    async with running_ca(tmp_path) as ca:
        real = CaClient(ca.target, ControlTrust(ca.root.read_text()), ca.token)

        class Odd:
            async def svid(self, csr: str) -> SvidAnswer:
                if not answers:
                    return await real.svid(csr)
                answer = answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return replace_bundles(answer)

            async def bundles(self) -> BundlesAnswer:
                return await real.bundles()

        async with watching(ca, Odd()) as watch:
            await watch.pass_until(lambda: len(watch.identities) == 1)
            assert 300 in [sum(watch.delays[i : i + 5]) for i in range(len(watch.delays))]


def replace_bundles(answer: SvidAnswer) -> SvidAnswer:
    return SvidAnswer(answer.chain, {"a.example": {"keys": []}}, answer.time)


def other_root() -> bytes:
    return write_pem(CERTIFICATE, make_authority("x", datetime.now(UTC), timedelta(days=1)).der).encode()


def kept_in(folder: Path) -> KeptIdentity:
    """What a process leaves in `folder`, which is taken for memory."""
    agent = AgentSettings("agents", "triage-1", service_account="triage", uid="2")
    saved = SavedState(folder, "agents/triage-1/2")
    return KeptIdentity(saved, agent, unusable=print, not_kept=print, disk=lambda _folder: None)


async def test_a_process_that_starts_anew_goes_on_with_the_svid_that_it_had(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with running_ca(tmp_path) as ca:
        async with watching(ca, kept=kept_in(state)) as first:
            (before,) = first.identities
        await ca.stop()
        async with watching(ca, kept=kept_in(state)) as second:
            assert second.identities == [before]
            assert "the SVID in force lasts until" in second.problems[0]
            await ca.start()
            await second.pass_until(lambda: len(second.identities) == 2)
            left = before.svid.not_after - ca.clock()
            assert timedelta(minutes=28) < left < timedelta(minutes=31)
            assert second.identities[1].svid.key_pkcs8_der != before.svid.key_pkcs8_der
            restored = await kept_in(state).restore(ca.clock())
            assert restored == second.identities[1]


async def test_a_root_that_was_withdrawn_meanwhile_makes_for_a_new_svid_at_the_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with running_ca(tmp_path) as ca:
        async with watching(ca, kept=kept_in(state)) as first:
            (before,) = first.identities
        ca.authorities.replace_now()
        async with watching(ca, kept=kept_in(state)) as second:
            assert second.identities[0] == before
            assert second.identities[-1].svid != before.svid
            assert await kept_in(state).restore(ca.clock()) == second.identities[-1]


async def test_nothing_is_kept_of_an_svid_that_ended_or_whose_root_was_withdrawn(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with running_ca(tmp_path) as ca, watching(ca, kept=kept_in(state)) as watch:
        await watch.pass_sleep()
        (file,) = state.iterdir()
        await ca.stop()
        await watch.pass_until(lambda: ca.clock() > watch.identities[0].svid.not_after, 4000)
        await watch.pass_sleep()
        assert not file.exists()
    other = tmp_path / "other"
    other.mkdir()
    async with running_ca(tmp_path) as ca:
        client = WithoutRenewal(ca)
        async with watching(ca, client, kept=kept_in(other)) as watch:
            assert any(other.iterdir())
            client.failure = RATE_LIMITED
            ca.authorities.replace_now()
            await watch.pass_until(lambda: len(watch.identities) == 2)
            assert not any(other.iterdir())


async def test_what_was_kept_and_cannot_be_used_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with running_ca(tmp_path) as ca:
        async with watching(ca, kept=kept_in(state)):
            pass
        watch = Watch(ca, kept=kept_in(state))
        watch.refuse = SvidInvalid("OpenSSL does not take it")
        task = spawn(watch.provider.run(watch.publish), name="provider")
        await watch.asleep.wait()
        task.cancel()
        assert "the SVID that was kept cannot be used: OpenSSL does not take it" in watch.problems


async def test_an_svid_that_somebody_refuses_is_replaced_at_once(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca, watching(ca) as watch:
        begun = ca.clock()
        watch.asleep.clear()
        watch.provider.renew_now()
        await watch.asleep.wait()
        assert len(watch.identities) == 2
        assert ca.clock() == begun
        await watch.pass_sleep()
        assert len(watch.identities) == 2


async def test_the_svid_proves_us_to_the_ca_and_the_token_where_it_is_refused(tmp_path: Path) -> None:
    # A connection that is refused for its certificate often ends without an alert, as here.
    async with running_ca(tmp_path) as ca:
        certificate = AskingCertificate(
            tmp_path / CERT_FILE,
            tmp_path / KEY_FILE,
            lambda: tuple(ca.authorities.bundle().x509.authorities_der),
        )
        await ca.stop()
        await ca.start(certificate.context)
        shown: list[X509Svid] = []
        trust = ControlTrust(ca.root.read_text())
        client = CaClient(ca.target, trust, ca.token, own=lambda: shown[-1] if shown else None)
        async with watching(ca, client) as watch:
            for withdraw in (False, True):
                shown.append(watch.identities[-1].svid)
                if withdraw:
                    ca.authorities.replace_now()
                else:
                    ca.token.unlink()
                watch.asleep.clear()
                watch.provider.renew_now()
                await watch.asleep.wait()
                ca.token.write_text(ca.tokens.token())
        issued = [record["provedBy"] for record in ca.audit if record["event"] == "svid_issued"]
        assert issued == ["token", "certificate", "token"]
        assert watch.problems == []
