"""`python -m bench`: measure the sidecar beside other proxies and print the report."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import cores, identity, machine, report, trust, upstream
from bench.cache import Missing
from bench.plan import FULL, QUICK, Plan
from bench.process import ProcessFailed
from bench.proxies.base import Proxy
from bench.proxies.direct import Direct
from bench.proxies.envoy import Envoy
from bench.proxies.haproxy import Haproxy
from bench.proxies.nginx import Nginx
from bench.proxies.outrider import Outrider
from bench.run import Run
from bench.stations import STATIONS

PROXIES: tuple[Proxy, ...] = (Outrider(), Nginx(), Haproxy(), Envoy(filters=False), Envoy(filters=True))
VARIANTS: tuple[Proxy, ...] = (Outrider(decisions="all"),)
QUICK_PROXIES = ("outrider", "nginx", "envoy-mcp")
DESCRIPTORS = 16_384


def main() -> int:
    """Run the bench; 0 when a report was made, 2 when a part that all need is missing."""
    arguments = _arguments()
    plan = QUICK if arguments.quick else FULL
    names = arguments.proxies or _default_proxies(quick=arguments.quick)
    _allow_descriptors()
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
            text = _measure(Path(folder), plan, names, arguments.stations)
    except (Missing, ProcessFailed) as missing:
        print(f"!! NOTHING MEASURED: {missing}", file=sys.stderr)
        return 2
    text += f"\nTook {time.monotonic() - started:.0f} s.\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    return 0


def _measure(folder: Path, plan: Plan, names: list[str], stations: list[str]) -> str:
    left_out: list[str] = []

    def leave_out(sentence: str) -> None:
        _say(f"!! LEFT OUT: {sentence}")
        left_out.append(sentence)

    proxies = _available([proxy for proxy in PROXIES if proxy.name in names], leave_out)
    variants = VARIANTS if "outrider" in names else ()
    placed = cores.choose(cores.available())
    lines = (
        *machine.describe(placed, proxies),
        f"Profile {plan.name}: medians of {plan.repetitions} rounds for CPU at saturation.",
    )
    files = trust.issue(folder)
    with ExitStack() as stack:
        socket = stack.enter_context(identity.serving(folder, placed.load, leave_out))
        behind = upstream.start(folder / "upstream", files, core=placed.upstream)
        stack.callback(behind.stop)
        files = files.with_socket(socket)
        run = Run(folder, plan, placed, files, behind, proxies, variants, _say, leave_out)
        for station in STATIONS:
            if station.name in stations:
                run.station(station)
    shown = (Direct(), *proxies, *variants)
    return report.render(run.results, shown, report.Circumstances(lines, tuple(left_out)))


def _default_proxies(*, quick: bool) -> list[str]:
    """The names of all proxies, or of those that the targets speak of."""
    return [proxy.name for proxy in PROXIES if not quick or proxy.name in QUICK_PROXIES]


def _available(wanted: list[Proxy], leave_out: Callable[[str], None]) -> tuple[Proxy, ...]:
    found = []
    for proxy in wanted:
        try:
            proxy.available()
        except (Missing, ProcessFailed) as missing:
            leave_out(f"{proxy.name}: {missing}")
        else:
            found.append(proxy)
    return tuple(found)


def _allow_descriptors() -> None:
    """1,000 connections take 2,000 descriptors in a proxy; many systems start with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, DESCRIPTORS), most))


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    stations = [station.name for station in STATIONS]
    parser.add_argument(
        "--quick", action="store_true", help="fewer proxies and repetitions, under 90 seconds"
    )
    parser.add_argument("--proxies", nargs="+", choices=[proxy.name for proxy in PROXIES], help="only these")
    parser.add_argument("--stations", nargs="+", choices=stations, default=stations, help="only these")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report here too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
