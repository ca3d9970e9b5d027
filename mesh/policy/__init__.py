"""Policy: documents in, decisions out.

    load_texts -> Documents -> compile_policy -> Policy.decide

Pure values all the way: reading files, watching them and telling the time is left to the edges.
"""

from mesh.policy.access.documents import AccessPolicy, TargetRef
from mesh.policy.compile import compile_policy
from mesh.policy.decide import Policy
from mesh.policy.decision import (
    INBOUND,
    AuthProtocol,
    Decision,
    ExternalCheck,
    HttpRequest,
    Inbound,
    RequestContext,
    Route,
)
from mesh.policy.documents import AgentPolicy, Backend, BackendProtocol, BackendTls, Documents, TlsMode
from mesh.policy.errors import PolicyError, PolicyInvalid
from mesh.policy.load import load_objects, load_texts, read_object_alone
from mesh.policy.narrowing import Narrowing
from mesh.policy.principal import UNAUTHENTICATED, Principal, User
from mesh.policy.user_auth import UserAuth

__all__ = [
    "INBOUND",
    "UNAUTHENTICATED",
    "AccessPolicy",
    "AgentPolicy",
    "AuthProtocol",
    "Backend",
    "BackendProtocol",
    "BackendTls",
    "Decision",
    "Documents",
    "ExternalCheck",
    "HttpRequest",
    "Inbound",
    "Narrowing",
    "Policy",
    "PolicyError",
    "PolicyInvalid",
    "Principal",
    "RequestContext",
    "Route",
    "TargetRef",
    "TlsMode",
    "User",
    "UserAuth",
    "compile_policy",
    "load_objects",
    "load_texts",
    "read_object_alone",
]
