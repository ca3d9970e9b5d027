"""Pods without a cluster: network namespaces joined by a bridge, each with an IPv4 and an IPv6 address.

The bridge has a namespace of its own, so that nothing of the machine's network is touched: what is made here has
names that hold this process's id, and only that is removed at the end. A capture sits on the bridge's side of a
pod's link and sees every frame that leaves or enters the pod, which is where "no plain text" is proved.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from e2e.frames import tcp_streams
from e2e.processes import end, environment

NAMESPACES: Final = Path("/run/netns")
FILES: Final = Path("/etc/netns")  # what ip-netns(8) lays over /etc, for the programs of one namespace
IPV4: Final = "10.77.0.{}"
IPV6: Final = "fd77::{:x}"
CLONE_NEWNET: Final = 0x40000000
ETH_P_ALL: Final = 3
COMMAND_SECONDS: Final = 60
CAPTURE_BYTES: Final = 64 * 1024 * 1024
TOOLS: Final = ("ip", "nsenter", "setpriv", "nft")
# Programs may lie in a folder that only root may search, such as an interpreter in root's home. Reading is all
# that this capability allows; it lets nobody pass a rule or write a file.
READ_ANYWHERE: Final = "dac_read_search"

T = TypeVar("T")
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A command that builds the network failed; the machine is at fault, not the product."""


def missing() -> str | None:
    """Why no namespaces can be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"no {', '.join(absent)}: install iproute2, util-linux and nftables"
    name = f"outrider-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except Failed as error:
        return str(error)
    return None


@dataclass(slots=True)
class Pod:
    """One network namespace with a link to the bridge."""

    name: str
    namespace: str
    ipv4: str
    ipv6: str
    link: str  # the name of its link on the bridge's side
    named: bool = False  # whether it has a hosts file of its own
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(
        self,
        argv: Sequence[str | Path],
        *,
        uid: int = 0,
        gid: int | None = None,
        capabilities: Sequence[str] = (),
    ) -> list[str]:
        """`argv` inside the pod, as a user, who gets `capabilities` such as "net_admin" as ambient ones."""
        enter = ["nsenter", f"--net={NAMESPACES / self.namespace}"]
        if self.named:
            enter = ["ip", "netns", "exec", self.namespace]
        if uid == 0 and gid is None:
            return [*enter, *map(str, argv)]
        group = uid if gid is None else gid
        held = "-all" + "".join(f",+{name}" for name in (READ_ANYWHERE, *capabilities))
        drop = ["--clear-groups", f"--inh-caps={held}", f"--ambient-caps={held}", f"--bounding-set={held}"]
        return [*enter, "setpriv", f"--reuid={uid}", f"--regid={group}", *drop, *map(str, argv)]

    def know(self, names: Mapping[str, Sequence[str]], nameserver: str) -> None:
        """Let the programs that are started from now on resolve `names` to these addresses, as DNS would."""
        folder = FILES / self.namespace
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{address} {name}\n" for name, addresses in names.items() for address in addresses]
        (folder / "hosts").write_text("".join(lines), encoding="ascii")
        (folder / "resolv.conf").write_text(f"nameserver {nameserver}\n", encoding="ascii")
        self.named = True

    def run(
        self, argv: Sequence[str | Path], *, env: dict[str, str] | None = None, **who: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, with everything that was printed; never raises for the exit code."""
        return subprocess.run(
            self.command(argv, **who),
            env=environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        env: dict[str, str] | None = None,
        stdin: int | None = None,
        stderr: Any = None,
        **who: Any,
    ) -> subprocess.Popen[str]:
        """Start a process that ends with the network at the latest; its stdout is a pipe."""
        process = subprocess.Popen(
            self.command(argv, **who),
            env=environment(**(env or {})),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        self.started.append(process)
        return process

    def inside(self, work: Callable[[], T], *, uid: int = 0, gid: int | None = None) -> T:
        """What `work` returns when a thread runs it in the pod; sockets that it makes are the user's."""
        return _inside(self.namespace, work, uid, uid if gid is None else gid)


class Capture:
    """Every frame on a pod's link since the capture began."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._frames: list[bytes] = []

    def frames(self) -> list[bytes]:
        """All frames so far. Raises Failed when the kernel dropped one, because then nothing is proved."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._frames.append(self._listener.recv(256 * 1024))
        sol_packet, packet_statistics = 263, 6
        dropped = int.from_bytes(self._listener.getsockopt(sol_packet, packet_statistics, 8)[4:], "little")
        if dropped:
            raise Failed(f"the capture lost {dropped} frames")
        return self._frames

    def saw(self, text: bytes) -> bool:
        """Whether `text` was on the wire, in one frame or across the segments of one TCP direction."""
        frames = self.frames()
        return any(text in frame for frame in frames) or any(
            text in stream for stream in tcp_streams(frames).values()
        )


@dataclass(slots=True)
class Network:
    """Pods by name, and the namespace of the bridge between them, which is also their gateway."""

    pods: dict[str, Pod]
    bridge: Pod

    def __getitem__(self, name: str) -> Pod:
        return self.pods[name]

    @contextlib.contextmanager
    def capture(self, pod: Pod) -> Iterator[Capture]:
        """Capture everything on the pod's link."""

        def listen() -> socket.socket:
            listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            so_rcvbufforce = 33
            listener.setsockopt(socket.SOL_SOCKET, so_rcvbufforce, CAPTURE_BYTES)
            listener.setblocking(False)
            listener.bind((pod.link, ETH_P_ALL))
            return listener

        with self.bridge.inside(listen) as listener:
            yield Capture(listener)

    def service(self, address: str, port: int, pod: Pod, target_port: int) -> None:
        """A virtual address for one pod, translated at the bridge as kube-proxy does on a node."""
        six = ":" in address
        family, to = ("ip6", f"[{pod.ipv6}]") if six else ("ip", pod.ipv4)
        rules = (
            f"table {family} services {{\n"
            "chain prerouting { type nat hook prerouting priority -100; }\n"
            "chain postrouting { type nat hook postrouting priority 100; }\n}\n"
            f"flush chain {family} services postrouting\n"
            f"add rule {family} services postrouting ct status dnat masquerade\n"
            f"add rule {family} services prerouting {family} daddr {address} tcp dport {port} "
            f"dnat to {to}:{target_port}\n"
        )
        done = subprocess.run(
            self.bridge.command(["nft", "-f", "-"]), input=rules, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise Failed(f"a service cannot be made: {done.stderr}")


@contextlib.contextmanager
def network(*names: str) -> Iterator[Network]:
    """Pods with these names, which all reach each other; their processes and namespaces end with the block."""
    prefix = f"outrider-{os.getpid()}-{next(_numbers)}"
    with contextlib.ExitStack() as made:
        bridge = Pod("bridge", f"{prefix}-bridge", IPV4.format(1), IPV6.format(1), "")
        _namespace(bridge, made)
        _inside(bridge.namespace, _forwarding)
        _configure(
            bridge,
            "link add br0 type bridge",
            f"addr add {bridge.ipv4}/24 dev br0",
            f"addr add {bridge.ipv6}/64 dev br0 nodad",
            "link set br0 up",
        )
        built = Network({}, bridge)
        for number, name in enumerate(names, start=2):
            pod = Pod(name, f"{prefix}-{name}", IPV4.format(number), IPV6.format(number), f"pod{number}")
            _namespace(pod, made)
            _join(pod, bridge)
            built.pods[name] = pod
        yield built


def _namespace(pod: Pod, made: contextlib.ExitStack) -> None:
    _ip("netns", "add", pod.namespace)
    made.callback(_ip, "netns", "delete", pod.namespace)
    made.callback(shutil.rmtree, FILES / pod.namespace, ignore_errors=True)
    made.callback(_end_all, pod)
    _inside(pod.namespace, _no_duplicate_detection)
    _configure(pod, "link set lo up")


def _end_all(pod: Pod) -> None:
    for process in pod.started:
        end(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _join(pod: Pod, bridge: Pod) -> None:
    _configure(bridge, f"link add {pod.link} type veth peer name eth0 netns {pod.namespace}")
    _configure(bridge, f"link set {pod.link} master br0", f"link set {pod.link} up")
    _configure(
        pod,
        f"addr add {pod.ipv4}/24 dev eth0",
        f"addr add {pod.ipv6}/64 dev eth0 nodad",
        "link set eth0 up",
        f"route add default via {bridge.ipv4}",
        f"-6 route add default via {bridge.ipv6}",
    )


def _no_duplicate_detection() -> None:
    """Link-local addresses are usable at once, instead of after a second."""
    for scope in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad").write_text("0", encoding="ascii")


def _forwarding() -> None:
    """The bridge is a router too; frames that it only bridges are nobody's business, as without br_netfilter."""
    for name in ("iptables", "ip6tables"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"/proc/sys/net/bridge/bridge-nf-call-{name}").write_text("0", encoding="ascii")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1", encoding="ascii")


def _configure(pod: Pod, *commands: str) -> None:
    for command in commands:
        _ip("-netns", pod.namespace, *command.split())


def _ip(*arguments: str) -> None:
    done = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    if done.returncode:
        raise Failed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _inside(namespace: str, work: Callable[[], T], uid: int = 0, gid: int = 0) -> T:
    """Run `work` in a thread of its own, to which a namespace and a file system user belong."""
    outcome: list[T] = []
    raised: list[BaseException] = []

    def enter() -> None:
        try:
            with (NAMESPACES / namespace).open("rb") as handle:
                if _libc.setns(handle.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"the namespace {namespace} cannot be entered")
            _libc.setfsgid(gid)
            _libc.setfsuid(uid)
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=enter, name=f"inside {namespace}")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return outcome[0]
