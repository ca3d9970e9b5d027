"""What one process of the control plane is made of: tasks, sources of problems, and what to do when it leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from webhook.admission.run import Background, follow_files
from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import ServingCertificate
from webhook.plane import Plane, SelfCertificates
from webhook.readiness import Problems


@dataclass(slots=True)
class Parts:
    """Collects the parts around a server."""

    server: AdmissionServer
    tasks: list[Background] = field(default_factory=list)
    problems: list[Problems] = field(default_factory=list)
    leaving: Background | None = None

    def add_cluster(self, plane: Plane, *, namespaces: bool) -> None:
        """What every replica in a cluster does; `namespaces`: also ask the cluster for those."""
        problems, task = plane.versions(self.server)
        self.problems.append(problems)
        self.tasks.append(task)
        if namespaces:
            known, watch = plane.namespaces()
            self.server.look_up = known.look_up
            self.tasks.append(watch)

    def add_files(self, cert: Path, key: Path, interval: float) -> ServingCertificate:
        """A certificate that follows two files; raises CertificateUnusable."""
        certificate = ServingCertificate(cert, key)

        def problems() -> list[str]:
            expired = time.time() >= certificate.not_after
            return ["the serving certificate has expired"] if expired else []

        self.tasks.append(lambda: follow_files(certificate, self.server, interval))
        self.problems.append(problems)
        return certificate

    def add_own(self, own: SelfCertificates) -> None:
        """A certificate of the webhook's own authority."""
        self.tasks.extend(own.tasks)
        self.problems.append(own.observed.problems)
        self.leaving = own.candidate.resign
