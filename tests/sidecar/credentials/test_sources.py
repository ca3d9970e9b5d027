"""Whose credential is put into which request, and what becomes of one that the server does not accept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mesh.policy.credentials import (
    ClientAuth,
    ClientCredentials,
    Credential,
    Exchange,
    Hidden,
    IdJag,
    SecretKey,
    StaticSecret,
    SvidToken,
    TokenServer,
    WithoutUser,
)
from mesh.policy.documents import Backend
from mesh.protocol.http1.heads import Headers, ResponseHead
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.source import MOST_LIVE
from sidecar.credentials.sources import Sources
from tests.support.credentials import ByName, Clock, Issuing, Policied, Told, backend, settle, verified

SERVER = TokenServer("https://idp.example", None, ClientAuth())
EXCHANGE = Exchange(SERVER, audience="crm", scopes=("crm.read",), step_up=("crm.write", "crm.admin"))
OWN = ClientCredentials(SERVER, scopes=("crm.read",), step_up=("crm.write",))
STATIC = StaticSecret(SecretKey("crm", "key"), "X-Api-Key", "")

CRM = backend(EXCHANGE)
JOBS = backend(OWN, "jobs")
FILE = backend(STATIC, "file")
PLAIN = backend(None, "plain")
HIDDEN = backend(Hidden(("GITHUB_TOKEN",)), "hidden")

ALICE, BOB = verified("alice"), verified("bob")
SCOPES = frozenset({"crm.write"})
NONE: frozenset[str] = frozenset()


class World:
    def __init__(self, folder: Path, *backends: Backend) -> None:
        self.clock = Clock()
        self.own = "spiffe://test.mesh/ns/agents/sa/triage"
        self.issuing = Issuing(self.clock)
        self.kinds = ByName(self.issuing)
        self.told = Told()
        self.sources = Sources(
            self.kinds,
            SecretFiles(folder, clock=self.clock),
            self.told,
            own=lambda: self.own,
            now=self.clock,
            clock=self.clock,
            draw=lambda: 0.0,
            at_once=4,
        )
        self.folder = folder
        self.use(*backends)

    def use(self, *backends: Backend) -> None:
        self.sources.use(Policied(backends))

    def write(self, value: str) -> None:
        (self.folder / "crm").mkdir(exist_ok=True)
        new = self.folder / "crm" / "new"
        new.write_text(value)
        new.rename(self.folder / "crm" / "key")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, CRM, JOBS, FILE, PLAIN, HIDDEN)


def answer(status: int, *challenges: str) -> ResponseHead:
    headers: Headers = [(b"www-authenticate", one.encode()) for one in challenges]
    return ResponseHead(status, b"", headers, 0, True)


DENIED = answer(401, 'Bearer error="invalid_token"')


async def test_one_users_credential_is_never_another_users(world: World) -> None:
    of_alice = await world.sources.obtain(CRM, ALICE)
    assert world.sources.ready(CRM, ALICE) is of_alice
    assert world.sources.ready(CRM, BOB) is None
    assert await world.sources.obtain(CRM, BOB) is not of_alice
    assert world.kinds.asked == [("crm", "alice", frozenset()), ("crm", "bob", frozenset())]


async def test_two_tokens_of_one_user_share_nothing(world: World) -> None:
    await world.sources.obtain(CRM, verified("alice", token="narrow"))
    assert world.sources.ready(CRM, verified("alice", token="wide")) is None


async def test_what_a_token_was_exchanged_for_ends_when_it_counts_no_longer(world: World) -> None:
    await world.sources.obtain(CRM, ALICE)
    of_bob = await world.sources.obtain(CRM, BOB)
    of_agent = await world.sources.obtain(JOBS, ALICE)
    asking = asyncio.ensure_future(world.sources.obtain(CRM, verified("alice", token="another")))
    world.sources.withdraw([ALICE.key])
    assert world.sources.ready(CRM, ALICE) is None
    assert world.sources.ready(CRM, BOB) is of_bob
    assert world.sources.ready(JOBS, ALICE) is of_agent
    await asking
    assert world.sources.ready(CRM, verified("alice", token="another")) is not None


async def test_what_belongs_to_the_agent_is_the_same_for_all_users(world: World) -> None:
    issued = await world.sources.obtain(JOBS, ALICE)
    assert world.sources.ready(JOBS, BOB) is issued
    assert world.sources.ready(JOBS, None) is issued
    assert world.kinds.asked == [("jobs", None, frozenset())]


async def test_a_credential_is_for_its_backend_scopes_and_identity_alone(world: World) -> None:
    await world.sources.obtain(CRM, ALICE)
    assert world.sources.ready(CRM, ALICE, SCOPES) is None
    assert world.sources.ready(JOBS, ALICE) is None
    world.own = "spiffe://test.mesh/ns/agents/sa/other"
    assert world.sources.ready(CRM, ALICE) is None


@pytest.mark.parametrize("credential", [EXCHANGE, IdJag(SERVER, SERVER, "https://crm.example/mcp")])
async def test_without_a_user_nothing_is_exchanged(world: World, credential: Credential) -> None:
    one = backend(credential, "one")
    world.use(one)
    with pytest.raises(CredentialRefused, match="user's token") as refused:
        await world.sources.obtain(one, None)
    assert refused.value.reason is Reason.SUBJECT_MISSING
    assert world.kinds.asked == []


async def test_without_a_user_the_agent_acts_for_itself_where_the_backend_says_so(world: World) -> None:
    one = backend(Exchange(SERVER, without_user=WithoutUser.CLIENT_CREDENTIALS), "one")
    world.use(one)
    issued = await world.sources.obtain(one, None)
    assert world.sources.ready(one, None) is issued
    assert world.sources.ready(one, ALICE) is None


async def test_an_expired_token_of_a_user_is_exchanged_for_nothing(world: World) -> None:
    with pytest.raises(CredentialRefused, match="expired") as refused:
        await world.sources.obtain(CRM, verified("alice", expires=world.clock.now))
    assert refused.value.reason is Reason.TOKEN_EXPIRED
    assert "token-of" not in str(refused.value)


async def test_what_was_exchanged_ends_with_the_users_token(world: World) -> None:
    alice = verified("alice", expires=world.clock.now + 30)
    assert await world.sources.obtain(CRM, alice)
    world.clock.now += 26
    assert world.sources.ready(CRM, alice) is None


async def test_a_new_policy_keeps_what_it_says_alike(world: World) -> None:
    issued = await world.sources.obtain(CRM, ALICE)
    again = backend(EXCHANGE)
    world.use(again, JOBS)
    assert world.sources.ready(again, ALICE) is issued
    assert world.sources.ready(CRM, ALICE) is issued, "requests of the policy before are still under way"


@pytest.mark.parametrize(
    "changed",
    [
        backend(Exchange(SERVER, audience="other")),
        backend(EXCHANGE, host="elsewhere.example"),
        backend(EXCHANGE, namespace="others"),
        backend(None),
        PLAIN,
    ],
)
async def test_a_new_policy_forgets_what_changed(world: World, changed: Backend) -> None:
    await world.sources.obtain(CRM, ALICE)
    world.use(changed)
    assert world.sources.ready(CRM, ALICE) is None
    assert world.sources.ready(changed, ALICE) is None
    with pytest.raises(CredentialRefused, match="another credential") as refused:
        await world.sources.obtain(CRM, ALICE)
    assert refused.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert world.sources.rejected(CRM, ALICE, await Issuing(world.clock).mint(), DENIED) is None
    world.use(CRM)
    assert world.sources.ready(CRM, ALICE) is None


@pytest.mark.parametrize("one", [PLAIN, HIDDEN])
async def test_a_backend_whose_credential_is_not_issued_has_none(world: World, one: Backend) -> None:
    assert world.sources.ready(one, ALICE) is None
    with pytest.raises(CredentialRefused):
        await world.sources.obtain(one, ALICE)


async def test_a_crowd_of_users_asks_a_server_a_few_at_a_time_and_in_order(world: World) -> None:
    world.issuing.hold()
    waiting = [asyncio.create_task(world.sources.obtain(CRM, verified(str(number)))) for number in range(20)]
    await settle()
    assert world.issuing.under_way == 4
    world.issuing.release()
    await asyncio.gather(*waiting)
    assert world.issuing.most_at_once == 4
    assert [one for _, one, _ in world.kinds.asked] == [str(number) for number in range(20)]


async def test_who_gets_no_turn_is_refused_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.credentials.source.TURN_SECONDS", 0.0)
    world.issuing.hold()
    waiting = [asyncio.create_task(world.sources.obtain(CRM, verified(str(number)))) for number in range(4)]
    await settle()
    with pytest.raises(CredentialRefused, match=r"Backend crm: https://idp\.example does not answer") as late:
        await world.sources.obtain(CRM, ALICE)
    assert late.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    world.issuing.release()
    assert len(await asyncio.gather(*waiting)) == 4
    world.clock.now += 2
    assert await world.sources.obtain(CRM, ALICE)


async def test_a_server_that_is_down_holds_up_nobody_elses(world: World) -> None:
    world.issuing.hold()
    waiting = [asyncio.create_task(world.sources.obtain(CRM, verified(str(number)))) for number in range(8)]
    await settle()
    world.write("one")
    assert await world.sources.obtain(FILE, None)
    for one in waiting:
        one.cancel()
    await settle()
    assert world.issuing.under_way == 0


# 401 and 403.


async def test_after_a_401_it_is_obtained_anew_once(world: World) -> None:
    issued = await world.sources.obtain(CRM, ALICE)
    assert world.sources.rejected(CRM, ALICE, issued, DENIED) == frozenset()
    assert world.sources.ready(CRM, ALICE) is None
    new = await world.sources.obtain(CRM, ALICE)
    assert new is not issued
    assert world.sources.rejected(CRM, ALICE, new, DENIED) is None
    assert world.sources.ready(CRM, ALICE) is new


async def test_all_requests_with_a_rejected_credential_share_the_new_one(world: World) -> None:
    issued = await world.sources.obtain(CRM, ALICE)
    for _ in range(3):
        assert world.sources.rejected(CRM, ALICE, issued, DENIED) == frozenset()
    await asyncio.gather(*(world.sources.obtain(CRM, ALICE) for _ in range(3)))
    assert world.sources.rejected(CRM, ALICE, issued, DENIED) == frozenset(), "one that was slow"
    await world.sources.obtain(CRM, ALICE)
    assert world.issuing.begun == 2


async def test_a_server_that_always_says_401_costs_one_credential_in_ten_seconds(world: World) -> None:
    for _ in range(100):
        issued = await world.sources.obtain(JOBS, None)
        if world.sources.rejected(JOBS, None, issued, DENIED) is not None:
            again = await world.sources.obtain(JOBS, None)
            assert world.sources.rejected(JOBS, None, again, DENIED) is None
        world.clock.now += 0.2
    assert world.issuing.begun == 3


async def test_what_was_renewed_meanwhile_is_not_thrown_away(world: World) -> None:
    old = await world.sources.obtain(CRM, ALICE)
    world.clock.now += 80
    world.sources.ready(CRM, ALICE)
    await settle()
    new = world.sources.ready(CRM, ALICE)
    assert new is not old
    assert world.sources.rejected(CRM, ALICE, old, DENIED) == frozenset()
    assert world.sources.ready(CRM, ALICE) is new


async def test_one_users_401_costs_no_other_user_anything(world: World) -> None:
    of_alice, of_bob = await world.sources.obtain(CRM, ALICE), await world.sources.obtain(CRM, BOB)
    world.sources.rejected(CRM, ALICE, of_alice, DENIED)
    assert world.sources.ready(CRM, BOB) is of_bob


@pytest.mark.parametrize(
    ("challenges", "more"),
    [
        (['Bearer error="insufficient_scope", scope="crm.write"'], {"crm.write"}),
        (['bearer error="insufficient_scope", scope="crm.read crm.write"'], {"crm.write"}),
        (['Bearer error="insufficient_scope", scope="crm.write crm.admin"'], {"crm.write", "crm.admin"}),
        (['Basic realm="x"', 'Bearer error="insufficient_scope", scope="crm.write"'], {"crm.write"}),
        (['Bearer error="insufficient_scope", scope="crm.write payroll"'], None),
        (['Bearer error="insufficient_scope", scope="crm.read"'], None),
        (['Bearer error="insufficient_scope"'], None),
        (['Bearer error="invalid_token", scope="crm.write"'], None),
        (['DPoP error="insufficient_scope", scope="crm.write"'], None),
        (["nonsense \x01"], None),
        ([], None),
    ],
)
async def test_a_step_up_is_asked_for_within_what_the_backend_allows(
    world: World, challenges: list[str], more: set[str] | None
) -> None:
    issued = await world.sources.obtain(CRM, ALICE)
    said = world.sources.rejected(CRM, ALICE, issued, answer(403, *challenges))
    assert said == (None if more is None else frozenset(more))
    assert world.sources.ready(CRM, ALICE) is issued, "it is good for what needs no more"


async def test_scopes_add_up_and_each_is_asked_for_once(world: World) -> None:
    wider = await world.sources.obtain(CRM, ALICE, SCOPES)
    assert world.kinds.asked[-1] == ("crm", "alice", SCOPES)
    admin = answer(403, 'Bearer error="insufficient_scope", scope="crm.admin"')
    assert world.sources.rejected(CRM, ALICE, wider, admin, SCOPES) == SCOPES | {"crm.admin"}
    again = answer(403, 'Bearer error="insufficient_scope", scope="crm.write"')
    assert world.sources.rejected(CRM, ALICE, wider, again, SCOPES) is None


async def test_a_401_after_a_step_up_keeps_its_scopes(world: World) -> None:
    wider = await world.sources.obtain(CRM, ALICE, SCOPES)
    assert world.sources.rejected(CRM, ALICE, wider, DENIED, SCOPES) == SCOPES


async def test_kinds_without_step_up_pass_a_403_on(world: World) -> None:
    one = backend(SvidToken("one"), "one")
    world.use(one)
    issued = await world.sources.obtain(one, None)
    said = answer(403, 'Bearer error="insufficient_scope", scope="crm.write"')
    assert world.sources.rejected(one, None, issued, said) is None


@pytest.mark.parametrize("status", [200, 400, 404, 407, 500])
async def test_other_answers_are_passed_on(world: World, status: int) -> None:
    issued = await world.sources.obtain(CRM, ALICE)
    said = answer(status, 'Bearer error="insufficient_scope", scope="crm.write"')
    assert world.sources.rejected(CRM, ALICE, issued, said) is None
    assert world.sources.ready(CRM, ALICE) is issued


async def test_a_url_in_a_challenge_is_asked_nothing(world: World) -> None:
    issued = await world.sources.obtain(CRM, ALICE)
    trap = 'Bearer resource_metadata="http://169.254.169.254/latest", error="%s", scope="crm.write"'
    assert world.sources.rejected(CRM, ALICE, issued, answer(403, trap % "insufficient_scope")) == SCOPES
    assert world.sources.rejected(CRM, ALICE, issued, answer(401, trap % "invalid_token")) == frozenset()
    await world.sources.obtain(CRM, ALICE, SCOPES)
    await world.sources.obtain(CRM, ALICE)
    assert {line["server"] for line in world.told.lines} == {"https://idp.example"}


# A secret as it is.


async def test_a_secret_is_read_anew_within_a_second_of_its_change(world: World) -> None:
    world.write("one\n")
    assert world.sources.ready(FILE, None) is None
    issued = await world.sources.obtain(FILE, ALICE)
    assert issued.fields == [(b"x-api-key", b"one")]
    assert issued.secrets == (b"one",)
    assert world.sources.ready(FILE, None) is issued
    world.write("two")
    world.clock.now += 1
    assert world.sources.ready(FILE, None) is None
    assert (await world.sources.obtain(FILE, None)).fields == [(b"x-api-key", b"two")]
    assert await world.sources.obtain(FILE, None) is world.sources.ready(FILE, None)
    assert [line["outcome"] for line in world.told.lines] == ["issued", "issued"]


async def test_a_secret_that_is_gone_is_not_used_any_more(world: World) -> None:
    world.write("one")
    issued = await world.sources.obtain(FILE, None)
    (world.folder / "crm" / "key").unlink()
    world.clock.now += 1
    assert world.sources.ready(FILE, None) is None
    with pytest.raises(CredentialRefused) as refused:
        await world.sources.obtain(FILE, None)
    assert refused.value.reason is Reason.CREDENTIAL_SECRET_MISSING
    assert world.told.lines[-1]["outcome"] == Reason.CREDENTIAL_SECRET_MISSING
    assert world.sources.rejected(FILE, None, issued, DENIED) is None


async def test_a_secret_that_is_not_accepted_is_looked_at_at_once(world: World) -> None:
    world.write("one")
    issued = await world.sources.obtain(FILE, None)
    assert world.sources.rejected(FILE, None, issued, DENIED) is None
    world.write("two")
    assert world.sources.rejected(FILE, None, issued, DENIED) == frozenset()
    assert (await world.sources.obtain(FILE, None)).secrets == (b"two",)


# What is written down.


async def test_each_minting_is_told_of_with_whom_it_is_for(world: World) -> None:
    acting = backend(Exchange(SERVER, actor=True), "acting")
    world.use(acting)
    await world.sources.obtain(acting, ALICE, SCOPES)
    (line,) = world.told.lines
    assert line == {
        "backend": "acting",
        "kind": "exchange",
        "server": "https://idp.example",
        "outcome": "issued",
        "seconds": 0.0,
        "expires_in": 100.0,
        "scopes": SCOPES,
        "user": "https://idp.example#alice",
        "actor": world.own,
        "detail": None,
    }
    assert world.told.counted == [("acting", "miss")]


async def test_a_refusal_is_told_of_once_however_many_wait(world: World) -> None:
    world.issuing.refuse(Reason.CREDENTIAL_REFUSED, "idp.example: 400 invalid_scope")
    for _ in range(3):
        with pytest.raises(CredentialRefused):
            await world.sources.obtain(CRM, ALICE)
    (line,) = world.told.lines
    assert line["outcome"] == Reason.CREDENTIAL_REFUSED
    assert line["detail"] == "idp.example: 400 invalid_scope"
    assert line["actor"] is None
    assert world.told.counted == [("crm", "miss"), ("crm", "negative"), ("crm", "negative")]


async def test_nothing_that_is_told_holds_a_token(world: World) -> None:
    issued = await world.sources.obtain(CRM, ALICE)
    world.issuing.refuse(Reason.CREDENTIAL_UNAVAILABLE, "down")
    world.clock.now += 80
    world.sources.ready(CRM, ALICE)
    await settle()
    shown = repr(world.told.lines) + repr(ALICE) + repr(issued)
    assert "secret-" not in shown
    assert "token-of" not in shown


WRITE = answer(403, 'Bearer error="insufficient_scope", scope="crm.write"')
ADMIN = answer(403, 'Bearer error="insufficient_scope", scope="crm.admin"')


async def test_scopes_that_were_asked_for_once_come_with_what_is_ready(world: World) -> None:
    narrow = await world.sources.obtain(CRM, ALICE)
    wide = await world.sources.obtain(CRM, ALICE, SCOPES)
    assert world.sources.ready(CRM, ALICE) is wide
    assert await world.sources.obtain(CRM, ALICE) is wide
    assert world.sources.ready(CRM, BOB) is None
    late = world.sources.rejected(CRM, ALICE, narrow, WRITE)
    assert late == SCOPES, "a request that left before gets the wide one too"
    assert world.sources.rejected(CRM, ALICE, wide, WRITE) is None
    assert world.sources.rejected(CRM, ALICE, wide, ADMIN) == SCOPES | {"crm.admin"}
    assert len(world.kinds.asked) == 2


async def test_wider_scopes_are_remembered_as_long_as_what_was_issued_lives(world: World) -> None:
    await world.sources.obtain(CRM, ALICE, SCOPES)
    world.clock.now += 101
    assert world.sources.ready(CRM, ALICE) is None
    await world.sources.obtain(CRM, ALICE)
    assert world.kinds.asked[-1] == ("crm", "alice", NONE)


async def test_wider_scopes_are_remembered_on_where_what_was_issued_is_renewed(world: World) -> None:
    await world.sources.obtain(CRM, ALICE, SCOPES)
    world.clock.now += 80
    assert world.sources.ready(CRM, ALICE) is not None
    await settle()
    world.clock.now += 50
    assert world.sources.ready(CRM, ALICE) is not None
    assert {scopes for _, _, scopes in world.kinds.asked} == {SCOPES}


async def test_a_401_to_what_was_issued_with_wider_scopes_renews_just_that(world: World) -> None:
    await world.sources.obtain(CRM, ALICE)
    wide = await world.sources.obtain(CRM, ALICE, SCOPES)
    assert world.sources.rejected(CRM, ALICE, wide, DENIED) == NONE
    assert world.sources.ready(CRM, ALICE) is None
    assert await world.sources.obtain(CRM, ALICE) is not wide
    assert world.kinds.asked[-1] == ("crm", "alice", SCOPES)


async def test_wider_scopes_that_are_refused_by_now_are_not_asked_for_again(world: World) -> None:
    wide = await world.sources.obtain(CRM, ALICE, SCOPES)
    world.sources.rejected(CRM, ALICE, wide, DENIED)
    world.issuing.refuse(Reason.CREDENTIAL_REFUSED, "idp.example: 400 invalid_scope")
    with pytest.raises(CredentialRefused):
        await world.sources.obtain(CRM, ALICE)
    world.issuing.accept()
    await world.sources.obtain(CRM, ALICE)
    assert world.kinds.asked[-1] == ("crm", "alice", NONE)


async def test_another_policy_remembers_no_scopes(world: World) -> None:
    await world.sources.obtain(CRM, ALICE, SCOPES)
    world.use(JOBS)
    world.use(CRM)
    await world.sources.obtain(CRM, ALICE)
    assert world.kinds.asked[-1] == ("crm", "alice", NONE)


async def test_the_secrets_of_a_backend_are_those_of_all_its_users_and_of_no_other_backend(
    world: World,
) -> None:
    assert world.sources.secrets(CRM) == ()
    of_alice = await world.sources.obtain(CRM, ALICE)
    assert world.sources.secrets(CRM) == of_alice.secrets
    before = world.sources.issued
    of_bob = await world.sources.obtain(CRM, BOB)
    assert world.sources.issued > before
    assert world.sources.secrets(CRM) == (*of_alice.secrets, *of_bob.secrets)
    assert world.sources.secrets(JOBS) == ()
    assert world.sources.secrets(PLAIN) == ()


async def test_secrets_that_have_expired_are_not_looked_for(world: World) -> None:
    await world.sources.obtain(CRM, ALICE)
    world.clock.now += world.issuing.life
    of_bob = await world.sources.obtain(CRM, BOB)
    assert world.sources.secrets(CRM) == of_bob.secrets


async def test_the_newest_secrets_are_looked_for(world: World) -> None:
    issued = [await world.sources.obtain(CRM, verified(f"user {n}")) for n in range(MOST_LIVE + 5)]
    assert world.sources.secrets(CRM) == tuple(one.secrets[0] for one in issued[-MOST_LIVE:])


async def test_a_secret_that_was_replaced_in_its_file_is_still_looked_for(world: World) -> None:
    world.write("first-value")
    await world.sources.obtain(FILE, None)
    world.write("second-value")
    world.clock.now += 2
    await world.sources.obtain(FILE, None)
    await world.sources.obtain(FILE, None)
    assert world.sources.secrets(FILE) == (b"first-value", b"second-value")
