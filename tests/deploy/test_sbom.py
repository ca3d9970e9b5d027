"""Bills of material: what a lock file says, in CycloneDX, the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import sbom
from deploy.lockfile import Pinned, read_lock

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
STATUS = """\
Package: iptables
Status: install ok installed
Architecture: amd64
Version: 1.8.9-2
Description: tools
 Status: of nothing

Package: nftables
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0.6-2

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 12.2.0-14
"""


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_distribution_of_a_lock_is_in_its_bill(path) -> None:
    pinned = read_lock(path.read_text(encoding="utf-8"))
    document = sbom.bom("image", pinned, [], 0)
    assert [one["purl"] for one in document["components"]] == sorted(
        f"pkg:pypi/{one.name}@{one.version}" for one in pinned
    )
    known = {one["bom-ref"] for one in document["components"]} | {"image"}
    for one in document["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= known
    (own,) = [one for one in document["dependencies"] if one["ref"] == "image"]
    assert own["dependsOn"], "what the project itself wants"
    reached = {"image"} | {ref for one in document["dependencies"] for ref in one["dependsOn"]}
    assert reached == known, "everything is there for somebody"


def test_the_same_input_gives_the_same_bytes(capsys, monkeypatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    outputs = []
    for _ in range(2):
        assert sbom.main(["--name", "a", "--lock", str(LOCKS[0])]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    document = json.loads(outputs[0])
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


def test_other_content_has_another_serial_number() -> None:
    one, other = (sbom.bom("a", [Pinned("x", version, "", ["0"], [])], [], 0) for version in "12")
    assert one["serialNumber"] != other["serialNumber"]


def test_packages_of_the_system_are_those_that_are_installed() -> None:
    assert [one["purl"] for one in sbom.debian_components(STATUS)] == [
        "pkg:deb/debian/iptables@1.8.9-2?arch=amd64",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64",
    ]


def test_only_what_is_installed_is_in_the_bill_of_an_image(tmp_path) -> None:
    pinned = [
        Pinned("ruamel.yaml", "1.0", "", ["0"], []),
        Pinned("colorama", "2", "sys_platform == 'win32'", ["0"], []),
    ]
    (tmp_path / "ruamel_yaml-1.0.dist-info").mkdir()
    assert [one.name for one in sbom.installed(pinned, tmp_path)] == ["ruamel.yaml"]
    (tmp_path / "stranger-1.dist-info").mkdir()
    with pytest.raises(ValueError, match="stranger"):
        sbom.installed(pinned, tmp_path)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("requests>=2\n", "not a line"),
        ("requests==2\n", "no hash"),
        ("    --hash=sha256:00\n", "not a line"),
    ],
)
def test_what_is_no_lock_is_refused(text, fault) -> None:
    with pytest.raises(ValueError, match=fault):
        read_lock(text)
