"""Policy: documents in, decisions out.

    load_texts -> Documents -> compile_policy -> Policy.decide

Pure values all the way: reading files, watching them and telling the time is left to the edges.
"""

from mesh.policy.compile import compile_policy
from mesh.policy.decide import Policy
from mesh.policy.decision import INBOUND, Decision, HttpRequest, Inbound, Route
from mesh.policy.documents import AgentPolicy, Backend, BackendProtocol, BackendTls, Documents, TlsMode
from mesh.policy.errors import PolicyError, PolicyInvalid
from mesh.policy.load import load_texts
from mesh.policy.narrowing import Narrowing
from mesh.policy.principal import UNAUTHENTICATED, Principal

__all__ = [
    "INBOUND",
    "UNAUTHENTICATED",
    "AgentPolicy",
    "Backend",
    "BackendProtocol",
    "BackendTls",
    "Decision",
    "Documents",
    "HttpRequest",
    "Inbound",
    "Narrowing",
    "Policy",
    "PolicyError",
    "PolicyInvalid",
    "Principal",
    "Route",
    "TlsMode",
    "compile_policy",
    "load_texts",
]
