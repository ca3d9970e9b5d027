"""What the pages for clusters say is what the code does: links, codes, manifests, commands, and the example."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cli.main import COMMANDS
from mesh.reasons import Reason
from webhook.admission.inject import inject
from webhook.admission.outcome import Namespace
from webhook.admission.review import answer
from webhook.admission.settings import InjectionSettings, NativeSidecars

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = DOCS / "use-on-a-cluster.md"
INDEX = DOCS / "troubleshooting.md"
PAGES = sorted((DOCS / "troubleshooting").glob("*.md"))
WRITTEN = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
OURS = [GUIDE, INDEX, *PAGES]

SECTIONS = [
    "What you see",
    "Why it happens",
    "What Outrider does",
    "Check",
    "What to do",
    "What remains",
]
# Events of the sidecar's log, a cause that they name; a tool.
NO_REASONS = {"identity_problem", "control_problem", "token_refused", "delete_ticket"}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_troubleshooting", DOCS / "build_troubleshooting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Text


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^ *```$", "", text(path), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What can be linked to: headings as GitHub names them, and anchors of our own."""
    found: list[str] = []
    for title in re.findall(r"^#{1,6} (.*)$", prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return {*found, *re.findall(r'<a id="([^"]+)">', prose(path))}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = (path.parent / file).resolve() if file else path
        if not to.exists() or (anchor and anchor not in anchors(to)):
            broken.append(target)
    assert not broken


def test_anchors_are_distinct() -> None:
    for path in OURS:
        own = re.findall(r'<a id="([^"]+)">', prose(path))
        assert len(own) == len(set(own))


def test_the_tables_are_those_of_the_code() -> None:
    assert text(INDEX) == builder().page(text(INDEX)), "run python docs/build_troubleshooting.py"


def test_every_check_and_every_code_has_an_anchor() -> None:
    module = builder()
    wanted = {code.code for code in module.FINDINGS}
    wanted |= {check.docs.partition("#")[2] for check in module.CHECKS} | {
        str(one) for one in module.ADMISSION
    }
    assert wanted <= anchors(INDEX)
    assert all(check.docs.partition("#")[0] == "docs/troubleshooting.md" for check in module.CHECKS)


def test_the_index_knows_every_code_that_admission_gives() -> None:
    given = set()
    for path in (ROOT / "webhook" / "admission").rglob("*.py"):
        given |= set(re.findall(r"\bReason\.([A-Z_]+)\b", text(path)))
    assert {Reason[name] for name in given} <= set(builder().ADMISSION)


def test_whatever_is_said_to_have_a_page_exists() -> None:
    module = builder()
    known = {str(one) for one in Reason} | {check.id for check in module.CHECKS}
    known |= {code.code for code in module.FINDINGS}
    assert not set(module.links()) - known
    assert set(module.PAGES) <= {page.stem for page in PAGES}


def test_a_page_that_a_code_leads_to_speaks_of_it() -> None:
    for name, codes in builder().PAGES.items():
        page = text(DOCS / "troubleshooting" / f"{name}.md")
        assert not [code for code in codes.split() if "_" in code and code not in page], name


def test_every_code_leads_somewhere() -> None:
    module = builder()
    codes = {str(one) for one in (*module.ADMISSION, *module.FINAL_STATE_ONLY)} - {
        Reason.INJECTED,
        Reason.DOCUMENTS_VALID,
    }
    codes |= {check.id for check in module.CHECKS} | {code.code for code in module.FINDINGS}
    assert not codes - module.links().keys(), "name the page that tells more in docs/build_troubleshooting.py"


def test_there_is_a_page_for_each_complaint_and_the_index_links_it() -> None:
    assert len(PAGES) == 16
    linked = set(re.findall(r"\(troubleshooting/([a-z-]+)\.md", text(INDEX)))
    assert linked == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_all_that_is_to_be_said(page: Path) -> None:
    assert re.findall(r"^## (.*)$", prose(page), re.MULTILINE) == SECTIONS
    check = text(page).split("## Check\n")[1].split("\n## ")[0]
    assert check.startswith("\n```console\n$ "), "begins with one command"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_reason_code_exists(path: Path) -> None:
    known = {str(reason) for reason in Reason} | NO_REASONS
    written = set(re.findall(r"`([a-z]+(?:_[A-Za-z]+)+)`", prose(path)))
    written |= set(re.findall(r"outrider(?: refuses this pod)? \(([a-z_]+)\)", text(path)))
    assert {one for one in written if not one.startswith("outrider_")} <= known


def test_files_of_the_repository_that_are_named_exist() -> None:
    for path in OURS:
        for name in re.findall(r"\b(?:charts|deploy)/[\w./-]*\w", text(path)):
            assert (ROOT / name).exists(), f"{path.name}: {name}"


# Commands


def commands() -> Iterator[tuple[Path, str]]:
    for path in OURS:
        for block in re.findall(r"```console\n(.*?)```", text(path), re.DOTALL):
            for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
                for part in line.split(" | "):
                    if part.startswith("outrider "):
                        yield path, part
        for line in re.findall(r"`(outrider (?!refuses)[a-z][^`…:]+)`", prose(path)):
            for part in line.replace("\\|", "|").split(" | "):
                if part.startswith("outrider "):
                    yield path, part


ASKED = sorted({(path.stem, line) for path, line in commands()})


@pytest.mark.parametrize(("page", "line"), ASKED)
def test_every_command_is_understood(page: str, line: str) -> None:
    name, *arguments = shlex.split(line.replace("NAMESPACE", "agents"))[1:]
    known = {command.name: command.module for command in COMMANDS}
    assert name in known
    if not arguments:
        return
    parser = argparse.ArgumentParser(prog=f"outrider {name}", exit_on_error=False)
    importlib.import_module(known[name]).configure(parser)
    _, rest = parser.parse_known_args(arguments)
    assert not rest


# Messages


def quoted(code: str) -> Iterator[tuple[str, str]]:
    """Every message with a code that a page shows, on one line: as far as it is shown."""
    for path in OURS:
        for block in re.findall(r"```text\n(.*?)```", text(path), re.DOTALL):
            line = " ".join(block.split())
            for said in re.findall(rf"outrider(?: refuses this pod)? \({code}\): .*", line):
                yield path.stem, said.partition(" …")[0].partition("…")[0]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "sidecar_uid": (
        {"spec": {"containers": [{"name": "agent", "securityContext": {"runAsUser": 1774}}]}},
        {"outrider.dev/injection": "enabled"},
    ),
    "capture_impossible": (
        {
            "metadata": {"annotations": {"outrider.dev/capture": "transparent"}},
            "spec": {"containers": [{"name": "agent"}]},
        },
        {"outrider.dev/injection": "enabled", "pod-security.kubernetes.io/enforce": "baseline"},
    ),
}


@pytest.mark.parametrize("code", REFUSED)
def test_refusals_read_as_the_pages_show_them(code: str) -> None:
    pod, labels = REFUSED[code]
    outcome = inject({"metadata": {}, **pod}, Namespace("tight", labels), InjectionSettings())
    told = answer({"uid": "1"}, outcome).reply["response"]["status"]["message"]
    shown = list(quoted(code))
    assert shown
    for page, said in shown:
        assert told.startswith(said), page


def test_messages_of_the_final_state_policy_read_as_the_pages_show_them() -> None:
    known = builder().final_state_messages()
    shown = [(code, said) for code in known for _, said in quoted(code)]
    assert {code for code, _ in shown} == {"sidecar_missing", "sidecar_displaced"}
    for code, said in shown:
        pattern = ".*".join(map(re.escape, f"outrider ({code}): {known[code]}".split("…")))
        assert re.match(pattern[: pattern.index(";")], said), said


def test_the_warning_about_jobs_reads_as_the_page_shows_it() -> None:
    settings = replace(InjectionSettings(), native_sidecars=NativeSidecars.NEVER)
    pod = {"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [{"name": "job"}]}}
    outcome = inject(pod, Namespace("jobs", {"outrider.dev/injection": "enabled"}), settings)
    (warned,) = answer({"uid": "1"}, outcome).reply["response"]["warnings"]
    assert f"Warning: {warned}\n" in text(DOCS / "troubleshooting" / "job-never-completes.md")
