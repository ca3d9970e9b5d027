"""What sidecars of the demo prove themselves by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from cli.demo.cast import IMPOSTOR, TRIAGE
from cli.demo.control import ISSUER, ControlPlane, make_control, options, pod_uid, token_file
from cli.demo.processes import PartFailed, Parts
from mesh.identity.bundle_document import jwt_keys_of
from mesh.settings.installation import CONTROL_AUDIENCE
from webhook.identity.local_reviewer import LocalReviewer


def reviewer_of(folder: Path) -> LocalReviewer:
    """Who knows the keys that the control plane is started with."""
    told = options(folder, folder)
    document = msgspec.json.decode(Path(told[told.index("--issuer-keys") + 1]).read_bytes())
    return LocalReviewer(ISSUER, CONTROL_AUDIENCE, jwt_keys_of(document["keys"]), lambda: datetime.now(UTC))


async def test_a_token_is_that_of_one_pod(tmp_path: Path) -> None:
    make_control(tmp_path, (TRIAGE, IMPOSTOR))
    reviewer = reviewer_of(tmp_path)
    for workload in (TRIAGE, IMPOSTOR):
        file = token_file(tmp_path, workload)
        caller = await reviewer.review(file.read_text(encoding="ascii"))
        assert (caller.namespace, caller.pod, caller.uid) == (
            workload.namespace,
            workload.name,
            pod_uid(workload),
        )
        assert file.stat().st_mode & 0o077 == 0


async def test_a_mistake_that_comes_later_is_found_in_the_log(tmp_path: Path) -> None:
    make_control(tmp_path, ())
    documents = tmp_path / "documents"
    documents.mkdir()
    async with Parts(tmp_path / "logs") as parts:
        control = await ControlPlane.start(parts, tmp_path, documents)
        control.check_read()
        (documents / "a.yaml").write_text(
            "{apiVersion: outrider.dev/v1alpha1, kind: AgentPolicy, metadata: {name: a}, spec: {selectr: {}}}"
        )
        refusal = await control.refused()
        assert refusal["object"] == "AgentPolicy default/a"
        with pytest.raises(PartFailed, match="control-plane cannot read a policy"):
            control.check_read()


async def test_where_there_is_no_mistake_none_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.demo.control.REFUSED_SECONDS", 0.01)
    make_control(tmp_path, ())
    async with Parts(tmp_path / "logs") as parts:
        control = await ControlPlane.start(parts, tmp_path, tmp_path)
        assert await control.refused() == {}
