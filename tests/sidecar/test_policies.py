"""Policy files from disk: which are read, in what order, and every fault of all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.policy.errors import PolicyInvalid
from sidecar.policies import load_files


def policy(name: str) -> str:
    head = "apiVersion: outrider.dev/v1alpha1\nkind: AgentPolicy\n"
    return f"{head}metadata: {{name: {name}}}\nspec: {{egress: deny}}\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names(*paths: Path) -> list[str]:
    return [document.name for document in load_files(paths).policies]


def test_files_are_read_in_the_order_given_and_folders_in_the_order_of_names(tmp_path: Path) -> None:
    late = write(tmp_path / "late.yaml", policy("late"))
    for name in ("b", "a"):
        write(tmp_path / "d" / f"{name}.yaml", policy(name))
    write(tmp_path / "d" / "c.yml", policy("c"))
    assert names(late, tmp_path / "d") == ["late", "a", "b", "c"]


@pytest.mark.parametrize("name", ["notes.txt", "a.yaml.bak", "a.json", ".hidden", "sub/deeper.yaml"])
def test_a_folder_gives_its_own_yaml_files_only(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.yaml", policy("a"))
    write(tmp_path / name, policy("other"))
    assert names(tmp_path) == ["a"]


def test_a_folder_named_like_a_file_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", policy("a"))
    (tmp_path / "b.yaml").mkdir()
    assert names(tmp_path) == ["a"]


def test_a_file_named_by_itself_may_have_any_ending(tmp_path: Path) -> None:
    assert names(write(tmp_path / "policy.conf", policy("a"))) == ["a"]


def test_a_mounted_config_map_is_read_through_its_links(tmp_path: Path) -> None:
    """Kubernetes mounts `a.yaml -> ..data/a.yaml` and `..data -> ..2026_01_01`."""
    write(tmp_path / "..2026_01_01" / "a.yaml", policy("a"))
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert names(tmp_path) == ["a"]


def test_an_empty_folder_gives_no_documents(tmp_path: Path) -> None:
    assert names(tmp_path) == []


def test_every_file_that_cannot_be_read_is_told_with_those_that_are_wrong(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"kind: \xff\n")
    wrong = write(tmp_path / "wrong.yaml", policy("a").replace("deny", "perhaps"))
    with pytest.raises(PolicyInvalid) as caught:
        load_files([tmp_path / "missing.yaml", latin, wrong])
    told = [(Path(error.file).name, error.message) for error in caught.value.errors]
    assert [name for name, _ in told] == ["missing.yaml", "latin.yaml", "wrong.yaml"]
    assert "cannot be read" in told[0][1]
    assert "UTF-8" in told[1][1]


@pytest.mark.parametrize("broken", ["missing", "latin"])
def test_a_file_that_cannot_be_read_is_a_fault_though_the_others_are_right(
    tmp_path: Path, broken: str
) -> None:
    right = write(tmp_path / "right.yaml", policy("a"))
    wrong = tmp_path / f"{broken}.yaml"
    if broken == "latin":
        wrong.write_bytes(b"\xff")
    with pytest.raises(PolicyInvalid) as caught:
        load_files([right, wrong])
    assert len(caught.value.errors) == 1
