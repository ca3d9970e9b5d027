"""The variables by which programs learn which authorities to trust, and who reads each.

There is no one such variable: OpenSSL and Go share one, and most tools with roots of their own have another. Some
programs add what the variable names to their own roots, which makes the interception CA alone the right value;
others replace theirs by it, so that the value must be a bundle with the public roots.

`SSL_CERT_DIR` is missing on purpose. OpenSSL and Go read the folder of the image beside our file, and with it what
the image trusts in addition; a value of ours would take that away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TRUST_DIRECTORY: Final = "/run/outrider/trust"
"""Where an application finds the files below: the mount of a volume that the sidecar alone writes."""

CA_FILE: Final = "ca.pem"
"""The interception CA alone."""
BUNDLE_FILE: Final = "bundle.pem"
"""The public roots, those of the platform, and the interception CA."""
JAVA_FILE: Final = "truststore.p12"
"""The same as the bundle, in the format that Java reads."""
JAVA_PASSWORD: Final = "changeit"  # noqa: S105 - no secret: Java wants one, and this is the one everybody uses
"""The file holds certificates only; the password keeps nothing secret."""

_JAVA_TRUST_STORE = "-Djavax.net.ssl.trustStore="

SYSTEM_ROOTS: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, distroless
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Red Hat 7 and later
    "/etc/ssl/cert.pem",  # Alpine, BSD
)
"""Where distributions keep the public roots, in the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class TrustVariable:
    """One variable. `file` is what it has to name, `readers` who reads it.

    `adds` says that its readers keep their own roots beside that file. `template` is the value, with `{path}` for
    the path of the file; a value that is more than a path is a list of options, which the pod's own may precede.
    """

    name: str
    file: str
    readers: str
    adds: bool = False
    template: str = "{path}"

    @property
    def is_list(self) -> bool:
        """Whether what the pod sets goes before ours, separated by a space, rather than in its place."""
        return self.template != "{path}"

    def value(self, directory: str = TRUST_DIRECTORY) -> str:
        """What to set, for files in `directory`."""
        return self.template.format(path=f"{directory}/{self.file}")


TRUST_VARIABLES: Final = (
    TrustVariable(
        "SSL_CERT_FILE",
        BUNDLE_FILE,
        "OpenSSL and what is built on it (Python ssl, httpx, Ruby, PHP), Go, Rust, uv.",
    ),
    TrustVariable("REQUESTS_CA_BUNDLE", BUNDLE_FILE, "Python requests and what is built on it."),
    TrustVariable("CURL_CA_BUNDLE", BUNDLE_FILE, "curl, also where it is built without OpenSSL."),
    TrustVariable("NODE_EXTRA_CA_CERTS", CA_FILE, "Node.js, Bun.", adds=True),
    TrustVariable("DENO_CERT", CA_FILE, "Deno.", adds=True),
    TrustVariable("AWS_CA_BUNDLE", BUNDLE_FILE, "AWS command line and SDKs."),
    TrustVariable("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", BUNDLE_FILE, "Google Cloud command line."),
    TrustVariable("HTTPLIB2_CA_CERTS", BUNDLE_FILE, "Python httplib2, older Google API clients."),
    TrustVariable("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", BUNDLE_FILE, "gRPC in C++, Python, Ruby and PHP."),
    TrustVariable("PIP_CERT", BUNDLE_FILE, "pip."),
    TrustVariable("GIT_SSL_CAINFO", BUNDLE_FILE, "git."),
    TrustVariable("CARGO_HTTP_CAINFO", BUNDLE_FILE, "Cargo."),
    TrustVariable(
        "JAVA_TOOL_OPTIONS",
        JAVA_FILE,
        "Java, which reads no PEM file and no other variable.",
        template=f"{_JAVA_TRUST_STORE}{{path}} -Djavax.net.ssl.trustStoreType=PKCS12 "
        f"-Djavax.net.ssl.trustStorePassword={JAVA_PASSWORD}",
    ),
)


def environment(directory: str = TRUST_DIRECTORY) -> dict[str, str]:
    """Every variable with its value, for a program whose environment says nothing of them."""
    return {variable.name: variable.value(directory) for variable in TRUST_VARIABLES}


def names_public_roots(value: str) -> bool:
    """Whether a pod that sets a variable to `value` means the public roots, which our bundle holds as well.

    Any other file has roots that are known to the application's image only, and that our bundle would hide.
    """
    return value in SYSTEM_ROOTS


def merged(variable: TrustVariable, present: str, directory: str = TRUST_DIRECTORY) -> str | None:
    """What to set where the pod itself sets `present`; None where ours would hide roots of its own.

    A file that a pod names is in its own image or volumes, where nobody can add to it. To keep both, its roots
    go to the platform's additional ones, and the variable out of the pod.
    """
    ours = variable.value(directory)
    if present in ("", ours):
        return ours
    if not variable.is_list:
        return ours if names_public_roots(present) else None
    if ours in present:
        return present
    return None if _JAVA_TRUST_STORE in present else f"{present} {ours}"
