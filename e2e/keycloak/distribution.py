"""Keycloak as its maintainers release it: Maven fetches the archive, `kc.sh build` prepares it once.

The archive is asked for by its coordinates, so where it comes from is what Maven is set up to use. After the build
a start takes seconds, because features and an empty database are settled. The folder is never run in: each server
has a home of its own that links to it (see server).
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from e2e.environments import Unavailable, built, run

KEYCLOAK = "26.7.3"
# Client authentication by JWT-SVIDs is a preview in this version, ID-JAGs are an experiment; exchange of tokens,
# client authentication by other issuers' tokens and the JWT authorization grant are there without asking.
FEATURES = ("spiffe", "identity-assertion-jwt")
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:tar.gz"
FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
ADMIN = "admin"
"""Name and password of the administrator of every realm."""
JAVA = 17
DOWNLOAD_SECONDS = 600
BUILD_SECONDS = 300


@functools.cache
def keycloak_home() -> Path:
    """The unpacked and built distribution, made at most once for each version. Raises Unavailable."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise Unavailable(
                f"Keycloak {KEYCLOAK} is fetched by Maven and runs on Java, and there is no {program}"
            )
    if (found := _java_version()) < JAVA:
        raise Unavailable(f"Keycloak {KEYCLOAK} needs Java {JAVA}, and this is {found}")
    return built(f"keycloak-{KEYCLOAK}-{'-'.join(FEATURES)}-database", _build)


def _build(folder: Path) -> None:
    folder.mkdir()
    fetch = ["mvn", "--batch-mode", "--quiet", FETCH, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
    run(fetch, cwd=folder, seconds=DOWNLOAD_SECONDS)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    archive.unlink()
    (unpacked,) = (each for each in folder.iterdir() if each.is_dir())
    for each in unpacked.iterdir():
        each.rename(folder / each.name)
    unpacked.rmdir()
    options = ["--db=dev-file", "--health-enabled=true", f"--features={','.join(FEATURES)}"]
    program = str(folder / "bin" / "kc.sh")
    run([program, "build", *options], cwd=folder, env=os.environ.copy(), seconds=BUILD_SECONDS)
    # Writes the schema and the realm `master` into `data`, where each server copies them from.
    first = [
        program,
        "bootstrap-admin",
        "user",
        "--optimized",
        "--username",
        ADMIN,
        "--password:env",
        "ADMIN",
    ]
    run(first, cwd=folder, env={**os.environ, "ADMIN": ADMIN}, seconds=BUILD_SECONDS)


def _java_version() -> int:
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    print(keycloak_home())
