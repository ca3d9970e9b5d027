"""`python -m sidecar.redirect install|verify|undo|dry-run`: transparent capture, as an init step.

Settings come from OUTRIDER_REDIRECT_* variables; each is a flag as well, and the flag wins.
Exit 0 when done, 1 when the rules could not be installed or removed, 2 when the settings are invalid, 126 when
the rules are there and redirection does not work, which has to keep the pod from starting.
"""

from __future__ import annotations

import argparse
import os
import sys

from mesh.settings.kinds import Kind
from mesh.settings.table import of_kind
from sidecar.redirect.backends import ToolFailed, installer
from sidecar.redirect.commands import run_tool
from sidecar.redirect.install import (
    ORDER,
    Installed,
    NotInstalled,
    families,
    install,
    planned,
    undo,
    with_resolvers,
)
from sidecar.redirect.rules import Family
from sidecar.redirect.settings import PREFIX, Backend, RedirectSettings, SettingsInvalid, read_settings
from sidecar.redirect.verify import NotRedirected, verify

FAILED = 1
INVALID = 2
NOT_VERIFIED = 126
VERBS = ("install", "verify", "undo", "dry-run")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do what it says."""
    verb, flags = _parse(arguments)
    try:
        settings = read_settings({**os.environ, **flags})
        if verb == "undo":
            return _undo()
        captured = families(settings, _say)
        settings = with_resolvers(settings, _say)
        if verb == "dry-run":
            return _dry_run(settings, captured)
        if verb == "install":
            installed = install(settings, planned(settings, captured), run_tool, _say)
            _say(f"installed with {installed.backend}: {' and '.join(family.title for family in captured)}")
        else:
            _read_back(settings, captured)
        return _verify(settings, captured)
    except SettingsInvalid as invalid:
        _say(str(invalid))
        return INVALID
    except NotInstalled as error:
        _say(
            f"{verb} failed; the pod must not start:\n{error}"
            if verb == "install"
            else f"{verb} failed:\n{error}"
        )
        return FAILED
    except NotRedirected as error:
        _say(f"traffic is not redirected to the sidecar, so that the pod must not start: {error}")
        return NOT_VERIFIED


def _parse(arguments: list[str] | None) -> tuple[str, dict[str, str]]:
    parser = argparse.ArgumentParser(prog="python -m sidecar.redirect", description="Redirect a pod's TCP.")
    parser.add_argument("verb", choices=VERBS)
    rows = of_kind(Kind.REDIRECT_ENV)
    for row in rows:
        flag = "--" + row.name.removeprefix(PREFIX).lower().replace("_", "-")
        parser.add_argument(flag, dest=row.name, metavar="VALUE", help=f"{row.doc} {row.values.allowed}")
    parsed = vars(parser.parse_args(arguments))
    return parsed["verb"], {row.name: parsed[row.name] for row in rows if parsed[row.name] is not None}


def _dry_run(settings: RedirectSettings, captured: tuple[Family, ...]) -> int:
    backend = ORDER[0] if settings.backend is Backend.AUTO else settings.backend
    print(installer(backend, run_tool).text(planned(settings, captured)), end="")
    return 0


def _undo() -> int:
    removed = undo(run_tool)
    _say(f"removed what {', '.join(removed)} held" if removed else "there was nothing to remove")
    return 0


def _read_back(settings: RedirectSettings, captured: tuple[Family, ...]) -> Installed:
    """The backend that holds exactly these rules. Raises NotRedirected with what each one lacks."""
    plans = planned(settings, captured)
    wrong = []
    for backend in ORDER if settings.backend is Backend.AUTO else (settings.backend,):
        try:
            found = installer(backend, run_tool).missing(plans)
        except ToolFailed as error:
            found = [str(error)]
        if not found:
            return Installed(backend, plans)
        wrong.append(f"{backend}: {'; '.join(found)}")
    raise NotRedirected("\n".join(wrong))


def _verify(settings: RedirectSettings, captured: tuple[Family, ...]) -> int:
    for proof in verify(settings, captured):
        _say(f"{'verified' if proof.probed else 'NOTE'}: {proof.family.title}: {proof.words}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
