"""Asks for a JWT-SVID as a workload would, in a process of its own, because SPIRE attests processes."""

from __future__ import annotations

import asyncio
import json
import sys

from sidecar.identity.jwt_source import JwtUnavailable
from sidecar.identity.workload_api import WorkloadApiProvider


async def main(endpoint: str, spiffe_id: str, *audience: str) -> None:
    source = WorkloadApiProvider(endpoint, spiffe_id=spiffe_id or None)
    try:
        svid = await source.jwt_svid(audience)
    except JwtUnavailable as unavailable:
        print(json.dumps({"unavailable": str(unavailable)}))
        return
    said = {"spiffe_id": str(svid.spiffe_id), "audience": svid.audience, "token": svid.token}
    print(json.dumps({**said, "expires_at": svid.expires_at.isoformat()}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
