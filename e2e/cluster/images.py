"""What an image is on a machine without a container engine: how its programs are started from this repository.

The root of every container is this machine's own, copied on write, so a command of a manifest finds `python` with
the project and everything that the machine has; an image adds where it starts and as whom.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.processes import ROOT

NOBODY = 65532
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IDLE = ("sleep", "2147483647")


@dataclass(frozen=True, slots=True)
class Image:
    """An image, known by a part of its reference such as "outrider/webhook"."""

    part: str
    entrypoint: tuple[str, ...] = ()
    user: int = 0
    runs: bool = True  # False: whatever the manifest says, it idles
    missing: bool = False  # True: it cannot be pulled
    code: tuple[str, ...] = ()  # more folders of this machine that its user must be able to read


class Images:
    """The images that a node knows. Later ones win over earlier ones."""

    def __init__(self, images: Sequence[Image]) -> None:
        self._images = list(images)

    def add(self, *images: Image) -> None:
        self._images.extend(images)

    def remove(self, *images: Image) -> None:
        for image in images:
            self._images.remove(image)

    def find(self, reference: str) -> Image:
        """The image of a reference; one that nobody knows idles, whatever its command is."""
        for image in reversed(self._images):
            if image.part in reference:
                return image
        return Image(reference, IDLE, runs=False)


OUTRIDER = (
    Image("outrider/webhook", ("python", "-m", "webhook"), NOBODY),
    Image("outrider/sidecar", ("python", "-m", "sidecar"), NOBODY),
    Image("example/shell"),  # runs what the manifest says on this machine's programs
    Image("example/missing", missing=True),
)


def variables() -> dict[str, str]:
    """The environment of every image: the interpreter of these tests leads the path, the project is importable."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), SYSTEM_PATH]),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/",
    }


def code(image: Image) -> list[str]:
    """Folders of this machine that a container must be able to read, whoever its user is."""
    interpreter = str(Path(sys.executable).resolve().parent)
    return sorted({str(ROOT), sys.prefix, sys.base_prefix, interpreter, *image.code})


def command(image: Image, expanded: Sequence[Sequence[str]]) -> list[str]:
    """What a container runs: `expanded` is its command and its args, with variables filled in."""
    given, args = expanded
    if not image.runs:
        return list(IDLE)
    return [*(given or image.entrypoint), *args] or list(IDLE)
