"""From options to an API server: the kubeconfig by the usual rules, or the ServiceAccount inside a pod."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.cluster.failures import ClusterUnavailable

if TYPE_CHECKING:
    from cli.cluster.api import Api

BAD_INPUT = 2
_DEFAULT = "~/.kube/config"


@dataclass(frozen=True, slots=True)
class Connection:
    """An API server, and the namespace that the kubeconfig's context names."""

    api: Api
    namespace: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which cluster."""
    group = parser.add_argument_group("cluster")
    group.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="in place of KUBECONFIG or ~/.kube/config"
    )
    group.add_argument(
        "--context", metavar="NAME", help="the kubeconfig's context (default: its current one)"
    )


def connect(arguments: argparse.Namespace) -> Connection:
    """The cluster that the options mean; nothing is asked of it yet.

    Raises:
        ClusterUnavailable: there is no kubeconfig, or it cannot be used.
    """
    from kubernetes import client, config  # takes a third of a second, and only what asks a cluster needs it

    from cli.cluster.api import Api

    named = _files(arguments.kubeconfig)
    if not named and arguments.context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config()  # type: ignore[no-untyped-call]
        made = client.Configuration.get_default_copy()
        return Connection(_api(Api, client.ApiClient, made), os.environ.get("OUTRIDER_NAMESPACE", "default"))
    if not named:
        asked = arguments.kubeconfig or os.environ.get("KUBECONFIG") or _DEFAULT
        raise ClusterUnavailable(
            f"There is no kubeconfig: {asked} does not exist.",
            "Name one with --kubeconfig, or set KUBECONFIG.",
        )
    made = client.Configuration()
    path = os.pathsep.join(named)
    load: Any = config.load_kube_config
    listed: Any = config.list_kube_config_contexts
    try:
        load(path, context=arguments.context, client_configuration=made, persist_config=False)
        contexts, active = listed(path)
    except (config.ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterUnavailable(
            f"The kubeconfig {path} cannot be used: {first.rstrip('.')}.",
            "`kubectl config view` and `kubectl config get-contexts` show what it holds.",
        ) from error
    chosen = next((one for one in contexts if one["name"] == arguments.context), active)
    return Connection(_api(Api, client.ApiClient, made), _namespace(chosen))


def asking(arguments: argparse.Namespace, command: Callable[[Connection], int]) -> int:
    """Run what asks a cluster; where that is impossible, say why and what to do, and end with 2."""
    try:
        return command(connect(arguments))
    except ClusterUnavailable as error:
        print(f"outrider: {error.cause}\n  {error.hint}", file=sys.stderr)
        return BAD_INPUT


def _files(given: Path | None) -> list[str]:
    """The kubeconfigs that exist, of those that are meant."""
    if given is not None:
        return [str(given)] if given.is_file() else []
    meant = os.environ.get("KUBECONFIG") or _DEFAULT
    paths = [str(Path(one).expanduser()) for one in meant.split(os.pathsep) if one]
    return [path for path in paths if Path(path).is_file()]


def _api(make: type[Api], client: Callable[..., object], configuration: object) -> Api:
    # One attempt: whoever waits at a terminal learns of a dead cluster at once, and --wait asks again.
    configuration.retries = False  # type: ignore[attr-defined]
    return make(client(configuration))  # type: ignore[arg-type]


def _namespace(context: object) -> str:
    inner = context.get("context") if isinstance(context, dict) else None
    named = inner.get("namespace") if isinstance(inner, dict) else None
    return named if isinstance(named, str) and named else "default"
