"""The scanner finds tokens in processes that have them, however they do, and nothing where nothing is."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import jwt
import pytest

from e2e.conftest import skip
from e2e.oauth.memory_scan import scan

KEY = "a key that only signs for this test, long enough"
TOKEN, OTHER = (
    jwt.encode({"sub": name, "aud": "https://somebody.example"}, KEY) for name in ("alice", "bob")
)
# Each reads a line and holds it in its own way, then says so and waits.
HOLD = """import sys, base64
line = sys.stdin.readline().strip()
{}
del line
print("holds", flush=True)
sys.stdin.read()"""
WAYS = {
    "text": ("kept = line", "token"),
    "bytes": ("kept = line.encode()", "token"),
    "wide": ("kept = line + chr(0x1234)", "token in UTF-16"),
    "payload": ("kept = line.split('.')[1]", "payload"),
    "signature": ("kept = line.split('.')[2]", "signature"),
    "signature-bytes": ("kept = base64.urlsafe_b64decode(line.split('.')[2] + '==')", "signature in bytes"),
    "base64": ("kept = base64.b64encode(b'Bearer ' + line.encode())", "token in base64, shifted by 1"),
}


@pytest.fixture(autouse=True)
def _may_read() -> None:
    if os.geteuid() != 0:
        skip("the memory of other processes", "not root")


@contextlib.contextmanager
def _process(code: str, line: str, *arguments: str, **env: str) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "holds\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("way", WAYS)
def test_a_token_is_found_however_it_is_held(way: str) -> None:
    code, what = WAYS[way]
    with _process(code, TOKEN) as pid:
        found = scan(pid, [OTHER, TOKEN])
    assert what in {place.what for place in found if place.token == 1}
    assert not [place for place in found if place.token == 0]


@pytest.mark.parametrize("where", ["cmdline", "environ"])
def test_a_token_is_found_outside_of_memory(where: str) -> None:
    arguments = [TOKEN] if where == "cmdline" else []
    env = {"TOKEN": TOKEN} if where == "environ" else {}
    with _process("pass", "nothing", *arguments, **env) as pid:
        found = scan(pid, [TOKEN])
    assert where in {place.where for place in found}


def test_nothing_is_found_where_nothing_is() -> None:
    encoded = base64.b64encode(OTHER.encode()).decode()
    with _process("kept = line", encoded) as pid:
        assert scan(pid, [TOKEN]) == []
        assert scan(pid, [OTHER]) != []


def test_a_process_that_is_gone_is_an_error() -> None:
    with _process("pass", "nothing") as pid:
        pass
    with pytest.raises(OSError, match=r"No such"):
        scan(pid, [TOKEN])
