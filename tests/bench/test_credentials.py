from __future__ import annotations

from pathlib import Path

from bench import credentials


async def test_each_figure_is_measured_and_a_crowd_asks_once(tmp_path: Path) -> None:
    lines = await credentials.measure(0.2, 100, tmp_path)
    assert [line.split(",")[0] for line in lines[:3]] == ["ready"] * 3
    assert "a second" in lines[3]
    assert lines[4].startswith("100 first requests of one user: 1 exchanges")
    assert lines[5].startswith("100 first requests of as many users: 100 exchanges")
