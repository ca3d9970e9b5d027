"""From options to an API server: the kubeconfig by the usual rules, or the ServiceAccount inside a pod."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cli.cluster.failures import ClusterUnavailable
from cli.cluster.impersonation import headers

if TYPE_CHECKING:
    from cli.cluster.api import Api

BAD_INPUT = 2
_DEFAULT = "~/.kube/config"
_UNVERIFIED = (
    "outrider: The kubeconfig says insecure-skip-tls-verify: true, so whoever answers in place of {server} is "
    "believed, and gets your credential.\n  Write certificate-authority-data in its place."
)
# What the client lets escape of a kubeconfig that is not shaped like one.
_MALFORMED = (OSError, ValueError, TypeError, KeyError, AttributeError)


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
    group.add_argument(
        "--as", dest="acting_as", metavar="USER", help="act as this user (default: as the kubeconfig says)"
    )


def connect(arguments: argparse.Namespace) -> Connection:
    """The cluster that the options mean; nothing is asked of it yet.

    Raises:
        ClusterUnavailable: there is no kubeconfig, or it cannot be used.
    """
    named = _files(arguments.kubeconfig)
    if named:
        return _by_kubeconfig(named, arguments.context, arguments.acting_as)
    if (
        arguments.kubeconfig is None
        and arguments.context is None
        and os.environ.get("KUBERNETES_SERVICE_HOST")
    ):
        return _inside_a_pod(arguments.acting_as)
    asked = arguments.kubeconfig or os.environ.get("KUBECONFIG") or _DEFAULT
    raise ClusterUnavailable(
        f"There is no kubeconfig: {asked} does not exist.", "Name one with --kubeconfig, or set KUBECONFIG."
    )


def _by_kubeconfig(paths: list[str], context: str | None, acting_as: str | None) -> Connection:
    from kubernetes import (  # takes a third of a second, which only those pay that ask a cluster
        client,
        config,
    )

    path, made = os.pathsep.join(paths), client.Configuration()
    load: Any = config.load_kube_config
    listed: Any = config.list_kube_config_contexts
    try:
        load(path, context=context, client_configuration=made, persist_config=False)
        contexts, active = listed(path)
    except (config.ConfigException, yaml.YAMLError, *_MALFORMED) as error:
        raise ClusterUnavailable(
            f"The kubeconfig {path} cannot be used: {_first_line(error)}.",
            "`kubectl config view` and `kubectl config get-contexts` show what it holds.",
        ) from error
    chosen = next((one for one in contexts if one["name"] == context), active)
    acting = headers(paths, str(chosen["context"].get("user", "")), acting_as)
    return Connection(_api(made, acting), _namespace(chosen))


def _inside_a_pod(acting_as: str | None) -> Connection:
    from kubernetes import client, config

    load: Any = config.load_incluster_config
    made = client.Configuration()
    try:
        load(client_configuration=made)
    except config.ConfigException as error:
        raise ClusterUnavailable(
            f"The pod's ServiceAccount cannot be used: {_first_line(error)}.",
            "Mount its token (automountServiceAccountToken), or name a kubeconfig with --kubeconfig.",
        ) from error
    return Connection(_api(made, headers((), "", acting_as)), "default")


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


def _api(configuration: Any, acting: Mapping[str, str]) -> Api:
    from kubernetes.client import ApiClient

    from cli.cluster.api import Api

    # One attempt: whoever waits at a terminal learns of a dead cluster at once, and --wait asks again.
    configuration.retries = False
    api = Api(ApiClient(configuration), acting)
    if api.unverified:
        print(_UNVERIFIED.format(server=api.server), file=sys.stderr)
    return api


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _namespace(context: object) -> str:
    inner = context.get("context") if isinstance(context, dict) else None
    named = inner.get("namespace") if isinstance(inner, dict) else None
    return named if isinstance(named, str) and named else "default"
