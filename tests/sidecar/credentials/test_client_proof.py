"""Proofs by each method, and JWT-SVIDs that are kept while they are good."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.identity.jws import read_jws, verify
from mesh.identity.jwt_svid import JwtSvid
from mesh.policy.credentials import ClientAuth, ClientMethod
from mesh.reasons import Reason
from sidecar.credentials.client_proof import MOST_AUDIENCES, ClientProof, Proof
from sidecar.credentials.issued import CredentialRefused
from tests.support.token_endpoint import ENDPOINT, ISSUER, ME, SECRET, Clock, FakeSource, proof, server

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
TYPE = "urn:ietf:params:oauth:client-assertion-type:"


def client(method: ClientMethod, **more: object) -> ClientAuth:
    return dataclasses.replace(ClientAuth(method), **more)  # type: ignore[arg-type]


async def made(auth: ClientAuth, proofs: ClientProof, *, issuer: str | None = ISSUER) -> Proof:
    return await proofs(server(auth, issuer=issuer, endpoint=ENDPOINT), ENDPOINT, issuer)


async def refused(auth: ClientAuth, proofs: ClientProof) -> CredentialRefused:
    with pytest.raises(CredentialRefused) as caught:
        await made(auth, proofs)
    return caught.value


@pytest.mark.parametrize(
    ("method", "kind"),
    [(ClientMethod.JWT_SPIFFE, "jwt-spiffe"), (ClientMethod.JWT_BEARER, "jwt-bearer")],
)
async def test_our_jwt_svid_is_the_assertion(method: ClientMethod, kind: str) -> None:
    clock = Clock()
    source = FakeSource(clock)
    made_proof = await made(client(method), proof(source, clock))
    params = dict(made_proof.params)
    jws = read_jws(params.pop("client_assertion"))
    verify(jws, source.key.public)
    assert (jws.claims["sub"], jws.claims["aud"]) == (str(ME), [ISSUER])
    assert params == {"client_assertion_type": TYPE + kind}
    assert made_proof.headers == []
    with_id = await made(client(method, id="triage"), proof(source, clock))
    assert with_id.params[0] == ("client_id", "triage")


@pytest.mark.parametrize(
    ("written", "issuer", "audience"),
    [("https://other", ISSUER, "https://other"), (None, ISSUER, ISSUER), (None, None, ENDPOINT)],
)
async def test_whom_an_assertion_is_for(written: str | None, issuer: str | None, audience: str) -> None:
    clock = Clock()
    source = FakeSource(clock)
    proofs = proof(source, clock, {SECRET: PEM})
    await made(client(ClientMethod.JWT_SPIFFE, audience=written), proofs, issuer=issuer)
    assert source.asked == [(audience,)]
    own = await made(
        client(ClientMethod.PRIVATE_KEY, id="me", secret=SECRET, audience=written), proofs, issuer=issuer
    )
    assert read_jws(dict(own.params)["client_assertion"]).claims["aud"] == audience


async def test_a_key_of_our_own_signs_a_new_assertion_each_time() -> None:
    clock = Clock()
    counter = iter(range(100))
    proofs = proof(None, clock, {SECRET: PEM})
    proofs._random = lambda size: bytes([next(counter)] * size)
    auth = client(ClientMethod.PRIVATE_KEY, id="triage", secret=SECRET)
    seen = []
    for _ in range(2):
        params = dict((await made(auth, proofs)).params)
        assert params["client_id"] == "triage"
        assert params["client_assertion_type"] == TYPE + "jwt-bearer"
        jws = read_jws(params["client_assertion"])
        verify(jws, KEY.public_key())
        assert {jws.claims["iss"], jws.claims["sub"]} == {"triage"}
        assert jws.claims["exp"] - jws.claims["iat"] == 60
        seen.append(jws.claims["jti"])
    assert len({len(one) for one in seen}) == 1
    assert len(set(seen)) == 2


async def test_a_new_key_in_the_secret_is_used() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    secrets = {SECRET: PEM}
    proofs = proof(None, Clock(), secrets)
    auth = client(ClientMethod.PRIVATE_KEY, id="triage", secret=SECRET)
    await made(auth, proofs)
    secrets[SECRET] = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    proofs._secrets.values = secrets  # type: ignore[attr-defined]
    verify(read_jws(dict((await made(auth, proofs)).params)["client_assertion"]), other.public_key())


async def test_secrets_in_the_body_and_in_the_header() -> None:
    proofs = proof(None, Clock(), {SECRET: "p:w d+é".encode()})
    post = await made(client(ClientMethod.SECRET_POST, id="triage", secret=SECRET), proofs)
    assert post.params == (("client_id", "triage"), ("client_secret", "p:w d+é"))
    header = await made(client(ClientMethod.SECRET_BASIC, id="triage", secret=SECRET), proofs)
    assert header.params == ()
    assert header.headers == [(b"authorization", b"Basic dHJpYWdlOnAlM0F3JTIwZCUyQiVDMyVBOQ==")]
    assert header.secrets == ("p:w d+é", "dHJpYWdlOnAlM0F3JTIwZCUyQiVDMyVBOQ==")


async def test_who_has_no_name_there_is_called_by_its_spiffe_id() -> None:
    clock = Clock()
    proofs = proof(FakeSource(clock), clock, {SECRET: b"password"})
    post = await made(client(ClientMethod.SECRET_POST, secret=SECRET), proofs)
    assert dict(post.params)["client_id"] == str(ME)


async def test_a_public_client_says_its_name() -> None:
    proofs = proof(None, Clock())
    assert (await made(client(ClientMethod.NONE, id="triage"), proofs)).params == (("client_id", "triage"),)
    assert await made(client(ClientMethod.NONE), proofs) == Proof()


@pytest.mark.parametrize(
    ("auth", "secret", "reason", "said"),
    [
        (client(ClientMethod.JWT_SPIFFE), b"", Reason.CREDENTIAL_UNAVAILABLE, "identity.provider none"),
        (
            client(ClientMethod.SECRET_BASIC, secret=SECRET),
            b"x",
            Reason.CREDENTIAL_UNAVAILABLE,
            "client.id is not set",
        ),
        (client(ClientMethod.SECRET_POST), b"x", Reason.CREDENTIAL_SECRET_MISSING, "needs client.secret"),
        (
            client(ClientMethod.SECRET_POST, id="t", secret=SECRET),
            b"\xff",
            Reason.CREDENTIAL_UNAVAILABLE,
            "no text",
        ),
        (
            client(ClientMethod.PRIVATE_KEY, id="t", secret=SECRET),
            b"hunter2",
            Reason.CREDENTIAL_UNAVAILABLE,
            "neither PEM",
        ),
        (
            client(ClientMethod.PRIVATE_KEY, id="t", secret=dataclasses.replace(SECRET, name="other")),
            b"",
            Reason.CREDENTIAL_SECRET_MISSING,
            "not mounted",
        ),
    ],
)
async def test_what_is_missing_is_named(auth: ClientAuth, secret: bytes, reason: Reason, said: str) -> None:
    no = await refused(auth, proof(None, Clock(), {SECRET: secret}))
    assert no.reason is reason
    assert said in no.detail
    assert "hunter2" not in no.detail


def test_a_proof_is_in_no_text() -> None:
    shown = repr(Proof([(b"authorization", b"Basic abc")], (("client_secret", "hunter2"),), ("hunter2",)))
    assert "hunter2" not in shown
    assert "abc" not in shown


# JWT-SVIDs.


async def test_one_that_cannot_be_read_is_not_kept() -> None:
    clock = Clock()
    source = FakeSource(clock)
    give = source.jwt_svid

    async def odd(audience: tuple[str, ...]) -> JwtSvid:
        return dataclasses.replace(await give(audience), token="opaque")

    source.jwt_svid = odd  # type: ignore[method-assign]
    proofs = proof(source, clock)
    await proofs.svid("a")
    await proofs.svid("a")
    assert len(source.asked) == 2


async def test_a_jwt_svid_is_kept_for_two_thirds_of_its_life() -> None:
    clock = Clock()
    source = FakeSource(clock, seconds=300)
    proofs = proof(source, clock)
    first = await proofs.svid("a")
    clock.time += 199
    assert await proofs.svid("a") is first
    assert (await proofs.svid("b")).audience == ("b",)
    clock.time += 2
    assert await proofs.svid("a") is not first
    assert source.asked == [("a",), ("b",), ("a",)]


async def test_one_that_was_not_believed_is_not_shown_again() -> None:
    clock = Clock()
    source = FakeSource(clock)
    proofs = proof(source, clock)
    first = await proofs.svid("a")
    proofs.forget("a")
    proofs.forget("never seen")
    assert await proofs.svid("a") is not first


async def test_one_that_may_be_used_once_is_not_kept() -> None:
    clock = Clock()
    source = FakeSource(clock, jti=True)
    proofs = proof(source, clock)
    assert await proofs.svid("a") is not await proofs.svid("a")


async def test_many_who_wait_share_one_jwt_svid() -> None:
    clock = Clock()
    source = FakeSource(clock)
    proofs = proof(source, clock)
    svids = await asyncio.gather(*(proofs.svid("a") for _ in range(1000)))
    assert len({id(svid) for svid in svids}) == 1
    assert len(source.asked) == 1


async def test_a_source_that_refuses_is_asked_again_a_second_later() -> None:
    clock = Clock()
    source = FakeSource(clock)
    source.problem = "the agent knows no workload like us"
    proofs = proof(source, clock)
    said = await asyncio.gather(*(proofs.svid("a") for _ in range(100)), return_exceptions=True)
    assert {(type(no), str(no)) for no in said} == {
        (
            CredentialRefused,
            "credential_unavailable: there is no JWT-SVID for a: the agent knows no workload like us",
        )
    }
    assert len(source.asked) == 1
    source.problem = None
    clock.time += 1
    assert (await proofs.svid("a")).spiffe_id == ME


async def test_a_jwt_svid_that_the_server_would_refuse_is_not_shown() -> None:
    clock = Clock()
    source = FakeSource(clock, seconds=-5)
    with pytest.raises(CredentialRefused, match="the token expired"):
        await proof(source, clock).svid("a")


async def test_audiences_are_bounded() -> None:
    clock = Clock()
    source = FakeSource(clock)
    proofs = proof(source, clock)
    await proofs.svid("first")
    for number in range(MOST_AUDIENCES):
        await proofs.svid(f"{number}")
    assert len(proofs._kept) == MOST_AUDIENCES
    await proofs.svid("first")
    assert source.asked.count(("first",)) == 2


async def test_who_stops_waiting_holds_nobody_up() -> None:
    clock = Clock()
    source = FakeSource(clock)
    proofs = proof(source, clock)
    waits = asyncio.Event()
    give = source.jwt_svid

    async def slow(audience: tuple[str, ...]) -> object:
        waits.set()
        await asyncio.Event().wait()
        return await give(audience)

    source.jwt_svid = slow  # type: ignore[assignment,method-assign]
    task = asyncio.get_running_loop().create_task(proofs.svid("a"))
    await waits.wait()
    source.jwt_svid = give  # type: ignore[method-assign]
    other = asyncio.get_running_loop().create_task(proofs.svid("a"))
    task.cancel()
    assert (await other).spiffe_id == ME
    with pytest.raises(asyncio.CancelledError):
        await task
