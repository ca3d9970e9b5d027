"""JWT-SVIDs from a SPIFFE Workload API: one call for each token, on a channel of its own.

Calls are rare (who uses a token keeps it), and a channel that stays open would have to be watched. As for the
X509-SVID, only the channel, messages and errors of py-spiffe are used.
"""

from __future__ import annotations

import os

from sidecar.identity.jwt_source import JwtUnavailable
from sidecar.identity.workload_api_stream import NOT_INSTALLED


def fetch_jwt_svid(socket: str, audience: tuple[str, ...], spiffe_id: str, seconds: float) -> str:
    """The token for `spiffe_id` ("": the default identity), not yet looked at. Blocks for at most `seconds`.

    Raises JwtUnavailable.
    """
    # gRPC writes its own notices to stderr, where the sidecar writes JSON lines; failures come as errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from spiffe import WorkloadApiClient
        from spiffe._proto.workload_pb2 import JWTSVIDRequest
        from spiffe.errors import PySpiffeError
        from spiffe.workloadapi.errors import FetchJwtSvidError
        from spiffe.workloadapi.handle_error import handle_error
    except ImportError as missing:
        raise JwtUnavailable(NOT_INSTALLED) from missing
    client = None
    try:
        client = WorkloadApiClient(socket)
        fetch = handle_error(error_cls=FetchJwtSvidError)(client._spiffe_workload_api_stub.FetchJWTSVID)
        answer = fetch(JWTSVIDRequest(audience=list(audience), spiffe_id=spiffe_id), timeout=seconds)
    except PySpiffeError as failed:
        raise JwtUnavailable(f"the Workload API at {socket} gives no token: {failed}") from failed
    finally:
        if client is not None:
            client.close()
    if not answer.svids:
        raise JwtUnavailable(f"the Workload API at {socket} gave an empty answer")
    token: str = answer.svids[0].svid
    return token
