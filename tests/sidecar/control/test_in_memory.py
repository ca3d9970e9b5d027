"""Memory is told from disks by the kernel's table of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.control.in_memory import disk_below, file_system

TABLE = """\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw,nosuid 0 0
/dev/vda /run/disk ext4 rw 0 0
tmpfs /run/disk/state tmpfs rw,size=32m 0 0
none /with\\040space ramfs rw 0 0
tmpfs /covered tmpfs rw 0 0
/dev/vdb /covered xfs rw 0 0
malformed
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/x", "ext4"),
        ("/run", "tmpfs"),
        ("/run/x/y", "tmpfs"),
        ("/runner", "ext4"),
        ("/run/disk/x", "ext4"),
        ("/run/disk/state", "tmpfs"),
        ("/run/disk/state/x", "tmpfs"),
        ("/run/disk/statement", "ext4"),
        ("/with space/x", "ramfs"),
        ("/covered/x", "xfs"),
    ],
)
def test_the_nearest_mount_above_a_path_says_what_it_is_on(path: str, kind: str) -> None:
    assert file_system(path, TABLE) == kind


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    table, disk, link = tmp_path / "mounts", tmp_path / "disk", tmp_path / "memory" / "state"
    for folder in (disk, link.parent):
        folder.mkdir()
    link.symlink_to(disk)
    table.write_text(f"x {disk} ext4 rw 0 0\nx {link.parent} tmpfs rw 0 0\n")
    assert disk_below(link.parent, table) is None
    assert disk_below(link, table) == "ext4"


def test_what_nothing_is_known_of_is_taken_for_a_disk(tmp_path: Path) -> None:
    assert disk_below(tmp_path, tmp_path / "no-table") == "a file system that is not known"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert disk_below(loop) is not None


def test_this_machines_own_table_is_read() -> None:
    assert disk_below(Path("/proc")) == "proc"
