from __future__ import annotations

import pytest

from bench import path


@pytest.mark.parametrize("case", list(path.CASES))
async def test_each_case_passes_through_the_data_path(case: str) -> None:
    line = await path.measure(case, 0.01, "none", profile=0)
    assert line.startswith(case)
    assert "us at best" in line


async def test_a_profile_tells_how_many_calls_a_request_takes() -> None:
    text = await path.measure("call", 0.01, "none", profile=3)
    assert "calls a request" in text
    assert len(text.splitlines()) == 5


async def test_a_request_that_is_refused_is_not_measured() -> None:
    request = b"POST http://elsewhere:80/mcp HTTP/1.1\r\nHost: elsewhere:80\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(RuntimeError, match="refuses"):
        await path.join(request, b"", "none")
