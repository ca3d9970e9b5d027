"""Do Services lead to ports that injected pods have?"""

from __future__ import annotations

from cli.check.data_plane import Agents, agents
from cli.check.objects import counted, name_of
from cli.check.result import Result, State, judged, skipped
from cli.selecting.service_ports import mutual_tls_port, unanswered


@agents
def service_ports(agents: Agents) -> Result:
    """Every Service of injected pods leads to a port that they have."""
    services = agents.data.services
    if services.unread:
        return skipped(f"Services cannot be listed: {services.unread}")
    if not agents.injected:
        return skipped("no pod has a sidecar")
    found = [(name_of(one), port) for one in services.items for port in unanswered(one, agents.injected)]
    sidecars = {mutual_tls_port(pod) for pod in agents.injected} - {None}
    takes = f"; their sidecars take mutual TLS at {', '.join(map(str, sidecars))}" if sidecars else ""
    problems = [
        f"Service {name} leads to port {port.target}, which {', '.join(port.pods)} does not have{takes}"
        for name, port in found
    ]
    worst = State.FAILED if any(port.certain for _, port in found) else State.WARNING
    return judged(problems, counted(len(services.items), "Service", "Services"), worst)
