"""A Keycloak on loopback that a test kills and starts again, with the realm of `realm.json`.

    with keycloak(folder, trust) as server:
        server.issuer                                # http://localhost:PORT/realms/acme
        server.token("alice", "frontend")            # what a frontend brings: alice's access token
        server.rotate_keys(); server.retire_keys()   # the realm signs with another key; the one before is gone
        server.kill(); server.start_again()

Each has a home of its own that links to the distribution, so that database and imported realm end with the test.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from e2e.keycloak.distribution import ADMIN, keycloak_home
from e2e.keycloak.trust_domain import TrustDomain
from e2e.processes import DidNotStart, environment
from e2e.spire.daemon import free_port

REALM: Final = "acme"
SIGNING: Final = ("RS256", "ES256")
START_SECONDS = 180.0
STOP_SECONDS = 15.0
CALL_SECONDS = 20.0
POLL_SECONDS = 0.2
# Without the compiler for long runs a start takes less of a busy machine.
JAVA_OPTS = "-Xms96m -Xmx384m -XX:MaxMetaspaceSize=256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
_COPIED = ("bin", "data")
_LINKED = ("lib", "providers", "themes", "conf")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered: status, headers by lower-case name, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


class Keycloak:
    """One server. `folder` is where it lives; the processes that it starts are a group of their own."""

    def __init__(self, folder: Path, trust: TrustDomain) -> None:
        self.folder = folder
        self.log = folder / "keycloak.log"
        self._ports = free_port(), free_port()
        self._trust = trust
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: tuple[str, float] | None = None

    @property
    def base(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://localhost:{self._ports[0]}"

    @property
    def issuer(self) -> str:
        """The realm's `iss`."""
        return f"{self.base}/realms/{REALM}"

    @property
    def token_endpoint(self) -> str:
        """Where tokens are asked for."""
        return f"{self.issuer}/protocol/openid-connect/token"

    def start(self) -> None:
        """Start and wait until it says that it is ready. Raises Unavailable, DidNotStart."""
        home = self._home()
        port, management = self._ports
        options = [
            "--optimized",
            "--import-realm",
            "--http-enabled=true",
            "--http-host=127.0.0.1",
            f"--http-port={port}",
            f"--hostname={self.base}",
            "--http-management-host=127.0.0.1",
            f"--http-management-port={management}",
            "--cache=local",
            "--log-level=info,io.smallrye.health:warn",
            f"--truststore-paths={self._trust.roots}",
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(home / "bin" / "kc.sh"), "start", *options],
                cwd=home,
                env=environment(JAVA_OPTS=JAVA_OPTS),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_ready(f"http://localhost:{management}/health/ready")

    def start_again(self) -> None:
        """After `kill` or `end`: the same realm, users and keys on the same port."""
        self.start()

    def kill(self) -> None:
        """Take it away without a word, as a crash would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def end(self) -> None:
        """Ask it to end, and make it where it does not."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self.kill()

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    # What clients do.

    def ask(self, form: Mapping[str, str], *, endpoint: str | None = None, **headers: str) -> Answer:
        """Post a form to the token endpoint, or to another one."""
        return call(endpoint or self.token_endpoint, urllib.parse.urlencode(form).encode(), **headers)

    def token(self, user: str, client: str = "frontend", scope: str = "") -> str:
        """The access token of `user` at a public client that takes passwords (here: the user's name)."""
        form = {"grant_type": "password", "client_id": client, "username": user, "password": user}
        answer = self.ask({**form, "scope": scope} if scope else form)
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {answer.body!r}\n{self.text()[-2000:]}")
        return str(answer.json()["access_token"])

    # What an administrator does.

    def admin(self, method: str, path: str, document: Any = None) -> Answer:
        """A call of the admin API below the realm, such as ("GET", "/keys")."""
        body = None if document is None else json.dumps(document).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.admin_token()}"}
        return call(f"{self.base}/admin/realms/{REALM}{path}", body, method=method, **headers)

    def rotate_keys(self, algorithm: str = "RS256") -> str:
        """Let the realm sign with a new key from now on, and keep the ones before; its `kid`."""
        known = {key["kid"] for key in self.admin("GET", "/keys").json()["keys"]}
        created = self.admin("POST", "/components", _key_provider(algorithm, priority=str(time.time_ns())))
        assert created.status == 201, created
        keys = self.admin("GET", "/keys").json()
        active: str = keys["active"][algorithm]
        assert active not in known, keys
        assert self.admin("PUT", "", {"defaultSignatureAlgorithm": algorithm}).status == 204
        return active

    def retire_keys(self, algorithm: str = "RS256") -> None:
        """Withdraw every key that signs access tokens but the one of `algorithm` that does so now."""
        keys = self.admin("GET", "/keys").json()
        active = keys["active"][algorithm]
        for key in keys["keys"]:
            if key["use"] == "SIG" and key.get("algorithm") in SIGNING and key["kid"] != active:
                assert self.admin("DELETE", f"/components/{key['providerId']}").status == 204

    def disable(self, client: str) -> None:
        """Let a client not be served any more."""
        self._change_client(client, {"enabled": False})

    def enable(self, client: str) -> None:
        """Undo `disable`."""
        self._change_client(client, {"enabled": True})

    def _change_client(self, client: str, values: Mapping[str, Any]) -> None:
        (found,) = self.admin("GET", f"/clients?clientId={urllib.parse.quote(client)}").json()
        assert self.admin("PUT", f"/clients/{found['id']}", {**found, **values}).status == 204

    def admin_token(self) -> str:
        """An access token of another realm."""
        if self._admin is None or self._admin[1] < time.monotonic():
            form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": ADMIN}
            answer = self.ask(form, endpoint=f"{self.base}/realms/master/protocol/openid-connect/token")
            assert answer.status == 200, answer
            self._admin = answer.json()["access_token"], time.monotonic() + 30
        return self._admin[0]

    def _home(self) -> Path:
        distribution, home = keycloak_home(), self.folder / "home"
        if not home.exists():
            for name in _COPIED:
                shutil.copytree(distribution / name, home / name)
            for name in _LINKED:
                (home / name).symlink_to(distribution / name)
            imports = home / "data" / "import"
            imports.mkdir(parents=True)
            text = Path(__file__).with_name("realm.json").read_text(encoding="utf-8")
            for name, value in (("TRUST_DOMAIN", self._trust.name), ("CONTROL", self._trust.url)):
                text = text.replace(f"@{name}@", value)
            (imports / f"{REALM}-realm.json").write_text(text, encoding="utf-8")
        return home

    def _await_ready(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if call(url).status == 200:
                    return
            time.sleep(POLL_SECONDS)
        self.kill()
        raise DidNotStart(f"Keycloak is not ready:\n{self.text()[-4000:]}")


def call(url: str, body: bytes | None = None, *, method: str | None = None, **headers: str) -> Answer:
    """One HTTP call without proxies; every status is an answer. Raises OSError."""
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - our own addresses
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=CALL_SECONDS) as answer:
            return Answer(answer.status, _lower(answer.headers), answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, _lower(refused.headers), refused.read())


@contextlib.contextmanager
def keycloak(folder: Path, trust: TrustDomain) -> Iterator[Keycloak]:
    """A running server that trusts `trust`'s workloads. Raises Unavailable, DidNotStart."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Keycloak(folder, trust)
    try:
        server.start()
        yield server
    finally:
        server.end()


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _key_provider(algorithm: str, priority: str) -> dict[str, Any]:
    kind = "ecdsa-generated" if algorithm.startswith("ES") else "rsa-generated"
    config = {"priority": [priority[-9:]], "enabled": ["true"], "active": ["true"], "algorithm": [algorithm]}
    return {
        "name": f"{kind}-{priority}",
        "providerId": kind,
        "providerType": "org.keycloak.keys.KeyProvider",
        "config": config,
    }
