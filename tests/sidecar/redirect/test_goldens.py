"""Golden files of the rule texts: goldens/NAME.env becomes NAME.nft, NAME.ipv4 and NAME.ipv6.

With OUTRIDER_REGENERATE=1 in the environment the expected files are written anew; read the difference before you
commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.redirect import iptables, nft
from sidecar.redirect.rules import Family, plan
from sidecar.redirect.settings import read_settings

FOLDER = Path(__file__).parent / "goldens"
CASES = sorted(path.stem for path in FOLDER.glob("*.env"))
SUFFIXES = (".env", ".nft", ".ipv4", ".ipv6")


def expect(path: Path, actual: str) -> None:
    if os.environ.get("OUTRIDER_REGENERATE"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


@pytest.mark.parametrize("case", CASES)
def test_rules_come_out_as_recorded(case) -> None:
    lines = (FOLDER / f"{case}.env").read_text(encoding="utf-8").splitlines()
    settings = read_settings(dict(line.split("=", 1) for line in lines if line))
    plans = {family: plan(settings, family) for family in Family}
    expect(FOLDER / f"{case}.nft", nft.installation(plans))
    for family, suffix in ((Family.IPV4, ".ipv4"), (Family.IPV6, ".ipv6")):
        expect(FOLDER / f"{case}{suffix}", iptables.installation(plans[family], family, ""))


def test_every_golden_belongs_to_a_case() -> None:
    used = {f"{case}{suffix}" for case in CASES for suffix in SUFFIXES}
    assert {path.name for path in FOLDER.iterdir()} == used
