"""`outrider uninject`: what injection added to manifests, taken out again.

Exact for what bears a reserved name, and for what the status or the sidecar's environment tells. Proxy variables
go where they hold our values.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cli import rewriting
from cli.manifests import Manifest
from cli.rewriting import Verdict
from cli.workloads import Workload
from mesh.reasons import Reason
from webhook.admission.inject import unshared
from webhook.admission.patch import same
from webhook.admission.settings_file import SettingsFile
from webhook.admission.shape import PodMalformed, as_pod
from webhook.admission.strip import is_injected, uninject

configure = rewriting.configure


def run(arguments: argparse.Namespace) -> int:
    """Uninject; 0, 1 when an object is no pod, 2 when the input cannot be read."""

    def prepare(settings: SettingsFile, _manifests: list[Manifest]) -> Callable[[Workload, str], Verdict]:
        def decide(workload: Workload, _where: str) -> Verdict:
            try:
                pod = unshared(as_pod(workload.pod))
            except PodMalformed as error:
                return Verdict("refused", told=(f" ({Reason.POD_MALFORMED}): {error}",))
            if not is_injected(pod):
                return Verdict("unchanged")
            uninject(pod, settings.injection)
            if not pod["metadata"]:  # a template may have gone without
                del pod["metadata"]
            return Verdict("unchanged") if same(pod, workload.pod) else Verdict("uninjected", pod)

        return decide

    return rewriting.run(arguments, prepare)
