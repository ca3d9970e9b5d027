from __future__ import annotations

import os

import pytest

from bench import procfs

STAT = (
    "4321 (a (strange) name) S 1 4321 4321 0 -1 4194560 2071 0 8 0 731 269 5 6 20 0 7 0 903481 "
    "125747200 4102 18446744073709551615 1 1 0 0 0 0 0 4096 81920 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0"
)
CORES = """cpu  300 20 100 5000 40 5 15 8 0 0
cpu0 100 10 50 2500 20 2 7 3 0 0
cpu1 200 10 50 2500 20 3 8 5 0 0
cpu10 1 1 1 1 1 1 1 1 0 0
intr 12345
"""


def test_times_are_read_after_a_command_with_spaces_and_parentheses() -> None:
    assert procfs.parse_stat(STAT) == (731, 269)


def test_run_time_is_the_first_number_of_schedstat() -> None:
    assert procfs.parse_schedstat("423919123 90404 17\n") == 423_919_123


def test_resident_memory_is_given_in_bytes() -> None:
    assert procfs.parse_rss("Name:\tnginx\nVmHWM:\t  9000 kB\nVmRSS:\t    8192 kB\n") == 8 * 1024 * 1024


def test_a_process_without_memory_is_resident_with_nothing() -> None:
    assert procfs.parse_rss("Name:\tnginx\nState:\tZ (zombie)\n") == 0


@pytest.mark.parametrize(("core", "ticks"), [(0, 172), (1, 276), (10, 6)])
def test_a_core_is_busy_with_everything_but_idling_and_waiting(core: int, ticks: int) -> None:
    assert procfs.parse_core_busy(CORES, core) == ticks


def test_a_core_that_the_kernel_does_not_list_is_an_error() -> None:
    with pytest.raises(ValueError, match="core 7"):
        procfs.parse_core_busy(CORES, 7)


def test_our_own_process_is_alive_and_costs_something() -> None:
    before = procfs.cpu_time(os.getpid())
    sum(range(200_000))
    assert (procfs.cpu_time(os.getpid()) - before).total_ns > 0
    assert procfs.resident(os.getpid()) > 1024 * 1024
    assert procfs.tree(os.getpid())[0] == os.getpid()


def test_a_process_that_is_gone_costs_nothing() -> None:
    nobody = 2**22 + 1  # above the kernel's largest process id
    assert procfs.cpu_time(nobody) == procfs.CpuTime(0, 0)
    assert procfs.resident(nobody) == 0
