from __future__ import annotations

import re

import pytest

from bench import wrk
from bench.load import LoadFailed

REPORT = """Running 1s test @ http://127.0.0.1:15002
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   771.32us  210.02us   6.02ms   91.66%
    Req/Sec    41.52k     2.10k   43.90k    80.00%
  41443 requests in 1.00s, 48.21MB read
Requests/sec:  41301.12
Transfer/sec:     48.05MB
"""


def test_the_requests_of_a_report_are_counted() -> None:
    assert wrk.parse(REPORT).requests == 41_443


@pytest.mark.parametrize(
    "line",
    ["  Socket errors: connect 0, read 3, write 0, timeout 1", "  Non-2xx or 3xx responses: 17"],
)
def test_a_report_with_errors_is_void(line: str) -> None:
    with pytest.raises(LoadFailed, match=line.strip()[:20]):
        wrk.parse(REPORT + line + "\n")


@pytest.mark.parametrize("output", ["", REPORT.replace("41443", "0")])
def test_a_report_without_requests_is_void(output: str) -> None:
    with pytest.raises(LoadFailed, match="no request"):
        wrk.parse(output)


def test_the_script_holds_the_very_bytes_of_the_request() -> None:
    message = bytes(range(256))
    digits = re.findall(r"\\(\d{3})", wrk.script(message))
    assert bytes(map(int, digits)) == message
