"""The provider that the configuration names. Each is imported only where it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidecar.identity.provider import IdentityProvider
from sidecar.settings import ControlSettings, FilesSettings, IdentitySettings, Provider

if TYPE_CHECKING:
    from mesh.identity.svid import X509Svid
    from sidecar.control.trust import ControlTrust
    from sidecar.identity.kept_identity import KeptIdentity


def chosen_provider(
    settings: IdentitySettings,
    problem: Callable[[str], None],
    control: ControlSettings | None = None,
    trust: ControlTrust | None = None,
    *,
    own: Callable[[], X509Svid | None] = lambda: None,
    kept: KeptIdentity | None = None,
) -> IdentityProvider | None:
    """None where there shall be no identity; what is wrong later is told to `problem`.

    `control` and `trust`: the control plane, whose CA the provider builtin asks; `own`: the SVID by which it may
    prove us, if there is one; `kept`: what outlives the process of what it answers.
    """
    if settings.provider is Provider.WORKLOAD_API and settings.socket is not None:
        # py-spiffe and grpc cost 30 MB: only who uses the Workload API pays for it.
        from sidecar.identity.workload_api import WorkloadApiProvider

        return WorkloadApiProvider(settings.socket, spiffe_id=settings.spiffe_id, on_problem=problem)
    if settings.provider is Provider.FILES and settings.files is not None:
        return _files(settings.files, settings.spiffe_id, problem)
    if settings.provider is Provider.BUILTIN and control is not None and trust is not None:
        from sidecar.identity.builtin import BuiltinProvider
        from sidecar.identity.ca_client import CaClient

        client = CaClient(control.server, trust, control.token, own=own)
        return BuiltinProvider(client, spiffe_id=settings.spiffe_id, on_problem=problem, kept=kept)
    return None


def _files(files: FilesSettings, spiffe_id: str | None, problem: Callable[[str], None]) -> IdentityProvider:
    from sidecar.identity.files import FilesProvider
    from sidecar.identity.identity_files import FileLayout

    layout = FileLayout(files.certificate, files.key, files.bundle, files.federated)
    return FilesProvider(layout, jwt_svids=files.jwt_svids, spiffe_id=spiffe_id, on_problem=problem)
