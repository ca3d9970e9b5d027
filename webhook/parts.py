"""What one process of the control plane is made of: tasks, sources of problems, and what to do when it leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from webhook.admission.run import Background, Listener, follow_files
from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import ServingCertificate
from webhook.control import ControlPlane
from webhook.leadership import Candidate
from webhook.plane import Plane, SelfCertificates
from webhook.readiness import Problems


@dataclass(slots=True)
class Parts:
    """Collects the parts around a server."""

    server: AdmissionServer
    tasks: list[Background] = field(default_factory=list)
    problems: list[Problems] = field(default_factory=list)
    leaving: list[Background] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)

    async def leave(self) -> None:
        """Do what is to be done when this process leaves."""
        for one in self.leaving:
            await one()

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
        self.leaving.append(own.candidate.resign)

    def add_candidate(self, candidate: Candidate) -> Candidate:
        """One that only wants to lead."""
        self.tasks.append(candidate.campaign)
        self.leaving.append(candidate.resign)
        return candidate

    def add_control(self, control: ControlPlane) -> None:
        """The port by which sidecars get identity and configuration."""
        self.tasks.extend(control.tasks)
        self.problems.append(control.problems)
        self.leaving.insert(0, control.leave)
        self.listeners.extend(control.listeners)
