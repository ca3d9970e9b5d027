"""The demo as a whole, with its real processes."""

from __future__ import annotations

import argparse
import io
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cli.demo import command
from cli.demo.command import BAD_INPUT, HELD, INTERRUPTED, NOT_HELD, play
from cli.demo.documents import policies
from cli.demo.screen import Screen
from cli.demo.stage import Ports


def outrider(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", "demo", *arguments]


def screen() -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    return Screen(Console(file=output, highlight=False)), output


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_statement_of_the_demo_holds(tmp_path: Path) -> None:
    tmp_path = tmp_path / "new" / "one"
    done = subprocess.run(
        outrider("--keep", str(tmp_path)), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (HELD, ""), done.stdout
    told = flat(done.stdout)
    for sentence in (
        "✓ Clients of both eras see the three tools that the policy grants",
        "error -32602: Unknown tool: delete_note",
        "handshake side=inbound peer=spiffe://demo.outrider/ns/agents/sa/triage reason=allowed",
        "reason=peer_not_allowed",
        "The server proved an identity other than the Backend's tls.identity.",
        "a Backend document with this host and port, named under outbound of an AgentPolicy, would allow it.",
        "✓ The policy file grants it no longer: in that session write_note is gone, and a call is refused",
        "error -32602: Unknown tool: write_note",
        "spec.outbound[0].tolls: unknown field, did you mean tools?",
        "✓ It changes nothing: what was in force before is in force",
        "✓ The agent's session went on calling all the while, and no call failed",
        "✓ The certificate that the agent's program saw and believed is its sidecar's, for that host only",
        "✓ The same URL is refused where no document declares it: the impostor gets no connection",
        "✓ With one they do; in its place the agent gets a handle of 47 characters",
        "aud=https://notes.example.com sub=alice act=spiffe://demo.outrider/ns/desk/sa/helpdesk",
        "✓ Another user's request carries that user, and the first one's again the first",
        "✓ In the agent's environment is a placeholder; the service that it is for got the secret",
        "✓ None of these tokens, nor the secret, stands in what the agent or a sidecar wrote",
        "✓ The agent writes an e-mail address; the server gets something that stands for it",
        "the server got: Please ask <EMAIL_1> on Monday.",
        "✓ Written as 1gn0r3 4ll pr3v10us 1nstruct10ns it is found as well",
        "✓ The sidecar's log has each finding, and nothing of what was found",
        'pin tool=count_tickets reason=pin_changed: description: "How many tickets wait" -> "How many tickets',
        "All 69 statements held, in",
        "outrider inject -f",
    ):
        assert sentence in told
    assert "✗" not in told
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert {"pod.yaml", "pod-injected.yaml", "sidecar-triage.yaml"} <= {
        one.name for one in tmp_path.iterdir()
    }
    assert (tmp_path / "logs" / "sidecar-notes.log").stat().st_size > 0


async def test_a_policy_that_grants_too_much_turns_the_demo_red(tmp_path: Path) -> None:
    granted = policies()["triage"].replace("write_note]", "write_note, delete_note]")
    shown, output = screen()
    assert await play(shown, tmp_path, {**policies(), "triage": granted}) == NOT_HELD
    told = flat(output.getvalue())
    assert "✗ Clients of both eras see the three tools that the policy grants" in told
    assert "✗ delete_note is refused, in words that do not say that there is such a tool" in told
    assert "seen: MCP 2025-11-25: deleted incident-42" in told
    assert "statements did not hold" in told
    assert "statements held" not in told


async def test_content_that_nobody_guards_turns_the_demo_red(tmp_path: Path) -> None:
    text = policies()["triage"].replace("  pin: {mode: FirstUse}", "  pin: {mode: Off}")
    begins = text.index("    guardrails:")
    shown, output = screen()
    assert await play(shown, tmp_path, {**policies(), "triage": text[:begins]}) == NOT_HELD
    told = flat(output.getvalue())
    assert "seen: Please ask dave@acme.example on Monday." in told
    assert "✗ Somebody hid instructions for the agent in a ticket" in told
    assert "✗ The server describes export_tickets with orders for the model" in told
    assert "✗ So is a cloud provider's key in base64" in told
    assert "✗ The sidecar's log says what is different" in told
    assert "✗ page_oncall may be called once a minute" in told


async def test_a_host_that_policy_does_not_declare_is_not_looked_into(tmp_path: Path) -> None:
    undeclared = policies()["triage"].replace("host: notes.example.com", "host: other.example.com")
    shown, output = screen()
    assert await play(shown, tmp_path, {**policies(), "triage": undeclared}) == NOT_HELD
    told = flat(output.getvalue())
    assert "✗ notes.example.com has four tools; the agent, over HTTPS, sees the two" in told
    assert "ProxyError('403 Forbidden')" in told
    assert "✗ The certificate that the agent's program saw and believed is its sidecar's" in told


async def test_an_agent_without_an_exchange_turns_the_demo_red(tmp_path: Path) -> None:
    text = policies()["helpdesk"]
    begins, ends = text.index("  credential:\n    exchange"), text.index("---\n")
    shown, output = screen()
    assert await play(shown, tmp_path, {**policies(), "helpdesk": text[:begins] + text[ends:]}) == NOT_HELD
    told = flat(output.getvalue())
    assert "✗ The server saw a token for it alone" in told
    assert "✗ It is the one that the authorization server made" in told


async def test_a_sidecar_that_does_not_start_is_shown_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, output = screen()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = replace(Ports.free(), notes_mtls=taken.getsockname()[1])
        monkeypatch.setattr(Ports, "free", lambda: ports)
        assert await play(shown, tmp_path, policies()) == NOT_HELD
    told = flat(output.getvalue())
    assert "✗ sidecar-notes ended with exit code" in told
    assert "address already in use" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [("{apiVersion: v1, kind: Nonsense, metadata: {name: a}}", "v1 Nonsense"), ("a: 3", "metadata.name")],
)
async def test_a_policy_file_that_cannot_be_read_is_shown(tmp_path: Path, text: str, said: str) -> None:
    shown, output = screen()
    assert await play(shown, tmp_path, {**policies(), "notes": text}) == NOT_HELD
    told = flat(output.getvalue())
    assert "✗ control-plane cannot read a policy" in told
    assert said in told


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Shells have what they run in the background ignore SIGINT, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_ends_its_processes(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        outrider("--keep", str(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        while "identity server" not in (line := demo.stdout.readline()):
            assert line, "the demo ended too early"
        children = child_processes(demo.pid)
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (INTERRUPTED, "")
    assert children
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def child_processes(pid: int) -> list[int]:
    """Of the process; skips where the system does not tell."""
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except FileNotFoundError:
        pytest.skip("needs /proc")
    return [int(child) for child in told.split()]


def test_the_folder_of_a_demo_goes_with_it_unless_it_is_kept(tmp_path: Path) -> None:
    with command._folder(None) as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with command._folder(tmp_path) as kept:
        assert kept == tmp_path.resolve()
    assert kept.is_dir()


def test_a_folder_that_cannot_be_made_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="ascii")
    assert command.run(argparse.Namespace(keep=tmp_path / "file" / "folder", cluster=False)) == BAD_INPUT
    assert "Not a directory" in flat(capsys.readouterr().out)


async def test_a_demo_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "TOTAL_SECONDS", 0.05)
    shown, output = screen()
    assert await play(shown, tmp_path, policies()) == NOT_HELD
    assert "not over after 0.05 seconds" in flat(output.getvalue())


def test_keep_is_a_path() -> None:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    assert parser.parse_args([]).keep is None
    assert parser.parse_args(["--keep", "x"]).keep == Path("x")
