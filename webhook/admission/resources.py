"""What the added containers may use of the node: the same for each, since they run one after the other."""

from __future__ import annotations

from mesh.settings import table
from webhook.admission.parameters import Parameters


def resources(parameters: Parameters) -> dict[str, dict[str, str]]:
    """Requests and limits: without them autoscaling and quotas stop working."""
    return {
        "requests": {"cpu": parameters[table.CPU.name].value, "memory": parameters[table.MEMORY.name].value},
        "limits": {
            "cpu": parameters[table.CPU_LIMIT.name].value,
            "memory": parameters[table.MEMORY_LIMIT.name].value,
        },
    }
