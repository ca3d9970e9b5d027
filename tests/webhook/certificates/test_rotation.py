"""Replicas against an API server of a few objects: from nothing to the second authority, and repairs."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from tests.support.api_server import MUTATING, SECRET, VALIDATING, FakeApiServer, configuration, serving
from tests.support.slow import until
from webhook.certificates.issue import make_leaf
from webhook.certificates.material import read, signed_by, write


def bundles(fake: FakeApiServer) -> set[bytes]:
    """What the entries of both configurations trust."""
    return {
        base64.b64decode(entry["clientConfig"].get("caBundle", ""))
        for path in (MUTATING, VALIDATING)
        for entry in fake.objects[path]["webhooks"]
    }


def published(fake: FakeApiServer) -> list[x509.Certificate]:
    (only,) = bundles(fake)
    return x509.load_pem_x509_certificates(only)


def material(fake: FakeApiServer) -> Any:
    return read(fake.objects[SECRET]["data"]).material


async def test_an_empty_secret_becomes_an_authority_that_every_entry_trusts(
    fake, day, start, tmp_path
) -> None:
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        assert one.acts() == ["found", "publish", "publish"]
        (authority,) = published(fake)
        made = material(fake)
        assert made.authority.certificate == authority
        assert signed_by(one.own.observed.served, authority)
        assert authority.not_valid_before_utc < day()
        assert fake.objects[SECRET]["type"] == "Opaque"
        names = one.own.observed.served.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.value.get_values_for_type(x509.DNSName) == [
            "outrider-webhook.outrider-system.svc",
            "outrider-webhook.outrider-system.svc.cluster.local",
            "outrider-webhook.outrider-system",
        ]
        assert one.metrics.get(_series("webhook_leader")) == 1
        assert one.metrics.get(_series("webhook_certificate_not_after_seconds")) > day().timestamp()


def _series(name: str) -> Any:
    from webhook.admission.metrics import TABLE

    return next(row for row in TABLE if row.name == f"outrider_{name}")


async def test_two_replicas_serve_one_certificate_and_one_writes(fake, day, start, tmp_path) -> None:
    async with (
        serving(fake, tmp_path) as client,
        start(client, day) as one,
        start(client, day, "two") as two,
    ):
        await until(lambda: one.ready and two.ready)
        assert one.own.observed.served == two.own.observed.served
        assert sorted([len(one.acts()), len(two.acts())]) == [0, 3]


async def test_a_leader_that_leaves_lets_another_write_at_once(fake, day, start, tmp_path) -> None:
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        async with start(client, day, "two") as two:
            await until(lambda: two.ready)
            await one.own.candidate.resign()
            fake.put(MUTATING, configuration("enabled.x", "required.x", "pod.x"))
            await until(lambda: "publish" in two.acts())
            assert not one.own.candidate.leading
            assert one.acts() == ["found", "publish", "publish"]


async def test_a_serving_certificate_is_renewed_when_a_third_is_left(fake, day, start, tmp_path) -> None:
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        first = one.own.observed.served
        day.pass_(days=4.6)
        one.wake()
        assert one.own.observed.served == first
        day.pass_(days=0.1)
        one.wake()
        await until(lambda: one.own.observed.served != first)
        assert one.acts()[3:] == ["issue"]
        assert len(published(fake)) == 1
        assert one.ready


async def test_an_authority_is_followed_by_another_that_is_published_first(
    fake, day, start, tmp_path
) -> None:
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        old = material(fake).authority.certificate
        day.pass_(days=5)
        one.wake()
        await until(lambda: "issue" in one.acts())
        fake.put(SECRET, with_data(fake, rotate="YQ=="))
        # What the leader has been told, not what the API server holds: its minute runs from there.
        await until(lambda: one.acts()[4:] == ["announce", "publish", "publish"])
        assert len(bundles(fake)) == 1
        assert len(published(fake)) == 2
        assert one.ready
        old_leaf = one.own.observed.served
        assert signed_by(old_leaf, old)
        assert "rotate" not in fake.objects[SECRET]["data"]
        day.pass_(seconds=59)
        one.wake()
        assert material(fake).authority.certificate == old
        day.pass_(seconds=2)
        one.wake()
        await until(lambda: one.own.observed.served != old_leaf)
        new = material(fake).authority.certificate
        assert published(fake) == [new, old]
        assert "next-ca.key" not in fake.objects[SECRET]["data"]
        assert one.ready
        day.pass_(days=6.9)
        one.wake()
        await until(lambda: one.acts()[-1] == "issue")
        assert published(fake) == [new, old]
        day.pass_(days=0.2)
        one.wake()
        await until(lambda: one.acts()[8:] == ["issue", "withdraw", "publish", "publish"])
        assert one.acts()[4:8] == ["announce", "publish", "publish", "switch"]
        assert bundles(fake) == {pem(new)}


def with_data(fake: FakeApiServer, **data: str) -> dict[str, Any]:
    secret = fake.objects[SECRET]
    return {
        **secret,
        "data": {**secret["data"], **{name.replace("_", "."): value for name, value in data.items()}},
    }


def pem(certificate: x509.Certificate) -> bytes:
    from webhook.certificates.material import bundle

    return bundle((certificate,))


@pytest.mark.parametrize("path", [MUTATING, VALIDATING])
async def test_what_an_upgrade_resets_is_repaired_whatever_entries_there_are(
    fake, day, start, tmp_path, path
) -> None:
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        fake.put(path, configuration("new.x", "pod.x", "other.x", "last.x"))
        await until(lambda: one.acts()[3:] == ["publish"] and len(bundles(fake)) == 1)
        assert [entry["name"] for entry in fake.objects[path]["webhooks"]] == [
            "new.x",
            "pod.x",
            "other.x",
            "last.x",
        ]
        writes = fake.count("PATCH")
        one.wake()
        assert fake.count("PATCH") == writes


async def test_an_installation_that_is_taken_away_and_comes_back_is_filled_again(
    fake, day, start, tmp_path
) -> None:
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        served = one.own.observed.served
        for path in (SECRET, MUTATING, VALIDATING):
            fake.delete(path)
        await until(lambda: one.events("secret_missing") != [])
        assert "helm upgrade" in one.events("secret_missing")[0]["error"]
        fake.install()
        await until(lambda: SECRET in fake.objects and "data" in fake.objects[SECRET] and one.ready)
        await until(lambda: len(bundles(fake)) == 1 and b"" not in bundles(fake))
        assert one.acts()[3:4] == ["restore"]
        assert one.own.observed.served == served


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tls_crt": "bm8gcGVt"}, "tls.crt: no certificate in PEM"),
        ({"tls_crt": "%%%"}, "tls.crt: tls.crt is no base64"),
        ({"tls_key": ""}, "tls.crt: tls.key is no private key in PEM"),
        ({"ca_crt": "bm8gcGVt"}, "ca.crt: no certificate in PEM"),
        ({"ca_key": "another"}, "ca.crt: ca.key is not the key of ca.crt"),
        ({"tls_key": "another"}, "tls.crt: tls.key is not the key of tls.crt"),
        ({"next-ca_crt": "bm8gcGVt"}, "next-ca.crt: no certificate in PEM"),
        ({"old-ca_crt": "bm8gcGVt"}, "old-ca.crt: no certificate in PEM"),
    ],
)
async def test_a_secret_that_somebody_broke_is_restored_and_told_of(
    fake, day, start, tmp_path, change, told
) -> None:
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        whole = fake.objects[SECRET]["data"]
        secret = with_data(fake, **change)
        for name, value in secret["data"].items():
            if value == "another":
                secret["data"][name] = whole["tls.key" if name == "ca.key" else "ca.key"]
        fake.put(SECRET, secret)
        await until(lambda: one.acts()[3:] == ["restore"])
        assert fake.objects[SECRET]["data"] == whole
        assert told in one.events("secret_broken")[0]["faults"][0]
        assert told in one.events("certificates")[-1]["why"]
        assert one.ready


@pytest.mark.parametrize("emptied", [True, False])
async def test_a_leader_that_finds_a_broken_secret_makes_all_anew_and_keeps_what_is_trusted(
    fake, day, start, tmp_path, emptied
) -> None:
    async with serving(fake, tmp_path) as client:
        async with start(client, day) as one:
            await until(lambda: one.ready)
        (old,) = published(fake)
        fake.put(SECRET, {**fake.objects[SECRET], "data": {} if emptied else {"ca.crt": "AAAA"}})
        async with start(client, day, "two") as two:
            await until(lambda: two.ready)
            await until(lambda: len(bundles(fake)) == 1 and len(published(fake)) == 2)
            assert old in published(fake)
            assert two.acts() == ["found", "publish", "publish"]


async def test_what_else_the_secret_holds_is_left_alone(fake, day, start, tmp_path) -> None:
    fake.put(SECRET, {"type": "Opaque", "data": {"note": "aGk="}, "metadata": {"labels": {"a": "b"}}})
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        assert fake.objects[SECRET]["data"]["note"] == "aGk="
        assert fake.objects[SECRET]["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("status", "method", "path", "told"),
    [
        (403, "PUT", SECRET, "grant update on secrets (resourceNames: [outrider-webhook-tls]) in namespace"),
        (403, "PATCH", MUTATING, "grant patch on mutatingwebhookconfigurations.admissionregistration.k8s.io"),
        (500, "PATCH", VALIDATING, "500"),
        (429, "PUT", SECRET, "429"),
    ],
)
async def test_a_write_that_fails_is_told_once_and_made_up_for(
    fake, day, start, tmp_path, status, method, path, told
) -> None:
    heal = fake.fail(status, method=method, path=path)
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: fake.count(method, path) >= 2)
        (failure,) = one.events("api_failure")
        assert told in failure["error"]
        assert not one.ready
        heal()
        await until(lambda: one.ready)
        assert one.events("api_recovered") == [{"event": "api_recovered", "subject": "certificates"}]


async def test_a_conflict_is_decided_anew_and_is_no_trouble(fake, day, start, tmp_path) -> None:
    raced = []

    async def another_writes_first(request):
        if (
            request.method in ("PUT", "PATCH")
            and request.path in (SECRET, MUTATING)
            and request.path not in raced
        ):
            raced.append(request.path)
            fake.put(request.path, {**fake.objects[request.path], "note": "by another"})

    fake.faults.append(another_writes_first)
    async with serving(fake, tmp_path) as client, start(client, day) as one:
        await until(lambda: one.ready)
        assert raced == [SECRET, MUTATING]
        assert one.events("api_failure") == []
        assert fake.objects[SECRET]["note"] == fake.objects[MUTATING]["note"] == "by another"


async def test_an_api_server_that_goes_away_leaves_the_replica_ready_and_without_a_leader(
    fake, day, start, tmp_path
) -> None:
    async with serving(fake, tmp_path, seconds=0.2) as client, start(client, day) as one:
        await until(lambda: one.ready)
        heal = fake.hang()
        await until(lambda: not one.own.candidate.leading)
        assert one.ready
        writes = fake.count("PUT", SECRET)
        day.pass_(days=5)
        one.wake()
        assert fake.count("PUT", SECRET) == writes
        heal()
        await until(lambda: "issue" in one.acts())
        assert one.ready


async def test_a_secret_for_another_name_gets_a_new_certificate_only(fake, day, start, tmp_path) -> None:
    async with serving(fake, tmp_path) as client:
        async with start(client, day) as one:
            await until(lambda: one.ready)
        before = material(fake)
        wrong = make_leaf(before.authority, ["elsewhere.svc"], day(), timedelta(days=7))
        fake.put(SECRET, {**fake.objects[SECRET], "data": write(replace(before, leaf=wrong))})
        async with start(client, day, "two") as two:
            await until(lambda: two.acts() == ["issue"])
            assert "is not for outrider-webhook.outrider-system.svc" in two.events("certificates")[0]["why"]
            assert material(fake).authority.certificate == before.authority.certificate


async def test_an_authority_that_expired_while_nobody_ran_is_replaced(fake, day, start, tmp_path) -> None:
    async with serving(fake, tmp_path) as client:
        async with start(client, day) as one:
            await until(lambda: one.ready)
        day.pass_(days=400)
        async with start(client, day, "two") as two:
            await until(lambda: two.ready)
            assert two.acts()[0] == "found"
            assert len(published(fake)) == 1
