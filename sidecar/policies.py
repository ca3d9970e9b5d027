"""Policy files from disk: the edge of `mesh.policy`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mesh.policy.documents import Documents
from mesh.policy.errors import PolicyError, PolicyInvalid
from mesh.policy.load import load_texts

_SUFFIXES = (".yaml", ".yml")


def load_files(paths: Iterable[Path]) -> Documents:
    """The documents of files, and of every YAML file right inside folders, in the order of their names.

    Raises PolicyInvalid, also for files that are missing or no UTF-8: with every fault of all of them.
    """
    texts: list[tuple[str, str]] = []
    unreadable: list[PolicyError] = []
    for path in _files(paths):
        try:
            texts.append((str(path), path.read_text(encoding="utf-8")))
        except OSError as error:
            unreadable.append(PolicyError(str(path), 1, "", f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            unreadable.append(PolicyError(str(path), 1, "", "is no UTF-8 text; save it as UTF-8"))
    try:
        documents = load_texts(texts)
    except PolicyInvalid as invalid:
        raise PolicyInvalid((*unreadable, *invalid.errors)) from invalid
    if unreadable:
        raise PolicyInvalid(tuple(unreadable))
    return documents


def _files(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and p.is_file())
        else:
            files.append(path)
    return files
