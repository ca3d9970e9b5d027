"""Which provider runs, and what it costs those that have another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mesh.protocol.http1.target import absolute_form
from sidecar.control.trust import ControlTrust
from sidecar.identity.builtin import BuiltinProvider
from sidecar.identity.chosen import chosen_provider
from sidecar.identity.files import FilesProvider
from sidecar.identity.workload_api import WorkloadApiProvider
from sidecar.settings import ControlSettings, FilesSettings, IdentitySettings, Provider

FILES = FilesSettings(Path("c"), None, Path("b"))
CONTROL = ControlSettings(absolute_form(b"https://control"), "PEM", Path("t"))


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (IdentitySettings(), type(None)),
        (IdentitySettings(Provider.WORKLOAD_API), type(None)),
        (IdentitySettings(Provider.WORKLOAD_API, "unix:///s"), WorkloadApiProvider),
        (IdentitySettings(Provider.FILES, files=FILES), FilesProvider),
        (IdentitySettings(Provider.BUILTIN), BuiltinProvider),
    ],
)
def test_the_provider_is_the_one_that_is_configured(settings: IdentitySettings, kind: type) -> None:
    assert type(chosen_provider(settings, print, CONTROL, ControlTrust("PEM"))) is kind


def loaded_by(*modules: str) -> set[str]:
    """What importing these loads in a process of its own."""
    script = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_a_provider_that_is_not_chosen_is_not_imported() -> None:
    names = ("builtin", "ca_client", "files", "https_call", "identity_files", "workload_api")
    loaded = loaded_by("sidecar.__main__")
    assert not loaded & {f"sidecar.identity.{name}" for name in names}
    assert not {name for name in loaded if name.startswith(("sidecar.control.", "mesh.distribution."))}


def test_identity_from_the_ca_needs_no_http_library() -> None:
    heavy = ("aiohttp", "grpc", "spiffe", "http.client", "urllib.request", "requests", "httpx")
    assert not loaded_by("sidecar.__main__", "sidecar.identity.builtin") & set(heavy)
