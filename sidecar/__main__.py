"""`python -m sidecar [--config FILE]`: run one sidecar until SIGTERM.

Settings come from the file, with OUTRIDER_* environment variables laid over it; either alone will do.
Exit 0 after a drain, 2 when the configuration or a policy is invalid or an address cannot be bound.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import uvloop

from mesh.policy.documents import Documents
from mesh.policy.errors import PolicyInvalid
from sidecar.app import Sidecar
from sidecar.config import SidecarConfig, load_config
from sidecar.environment import CONFIG_VARIABLE
from sidecar.hardening import harden
from sidecar.interception.declared import TrustNotWritten
from sidecar.memory import give_back
from sidecar.policies import load_files
from sidecar.proxy.listener import bind_error

INVALID = 2


async def run(config: SidecarConfig, documents: Documents, soft: Iterable[str] = ()) -> int:
    """Start, serve, drain. `soft`: sentences on what could not be hardened."""
    try:
        sidecar = Sidecar(config, documents)
    except PolicyInvalid as invalid:
        print(invalid, file=sys.stderr)
        return INVALID
    sidecar.handle_signals()
    for told in soft:
        sidecar.log.write("not_hardened", detail=told)
    try:
        await sidecar.start()
    except PolicyInvalid as invalid:  # trust in the first SVID may be what makes it so
        sidecar.log.close()
        print(invalid, file=sys.stderr)
        return INVALID
    except TrustNotWritten as error:
        sidecar.log.close()
        print(
            f"interception.directory: {error}; it must exist, and the sidecar must write there",
            file=sys.stderr,
        )
        return INVALID
    except OSError as error:
        sidecar.log.close()
        print(bind_error(error), file=sys.stderr)
        return INVALID
    give_back()
    await sidecar.serve()
    await sidecar.drain()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run."""
    soft: list[str] = []
    harden(soft.append)  # before anything secret is read
    parser = argparse.ArgumentParser(prog="python -m sidecar", description="Run one Outrider sidecar.")
    default = os.environ.get(CONFIG_VARIABLE)
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(default) if default else None,
        metavar="FILE",
        help=f"the sidecar's YAML file (default: {CONFIG_VARIABLE}, or the environment alone)",
    )
    path: Path | None = parser.parse_args(arguments).config
    try:
        config = load_config(path, os.environ)
        documents = load_files(config.policies) if config.policies else Documents()
    except PolicyInvalid as invalid:
        print(invalid, file=sys.stderr)
        return INVALID
    except (OSError, UnicodeDecodeError) as error:
        print(f"{path}: cannot be read: {error}", file=sys.stderr)
        return INVALID
    return uvloop.run(run(config, documents, soft))


if __name__ == "__main__":
    sys.exit(main())
