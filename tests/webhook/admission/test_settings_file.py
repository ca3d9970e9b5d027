from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mesh.identity.ca import make_authority
from mesh.identity.pem import CERTIFICATE, write_pem
from webhook.admission.identity_settings import CsiVolume, Files, PodCertificate
from webhook.admission.outcome import Namespace
from webhook.admission.settings import (
    ControlPlane,
    Denials,
    Identity,
    IdentityProvider,
    IdentityVolume,
    InjectionSettings,
    NativeSidecars,
    Ports,
    Redirection,
)
from webhook.admission.settings_file import SettingsInvalid, parse_settings

EVERYTHING = """
image: registry.example/sidecar@sha256:abc
imagePullPolicy: Always
imagePullSecrets: [registry]
uid: 2000
ports: {forward: 16002, inbound: 16443, telemetry: 16020, outboundRedirect: 16001, inboundRedirect: 16006}
listenHost: "[::]"
nativeSidecars: never
identity: {volume: hostPath, socket: agent.sock, hostPath: /run/spire}
policyConfigMap: policies
clusterDomain: corp.lan
noProxy: [metrics.internal, 10.0.0.0/8]
limits: {connections: 10, idleSeconds: 1.5}
defaults: {memory-limit: 512Mi, cpu: "1", capture: auto, interception: "on"}
allow: [mtls=permissive, exclude-inbound-ports]
redirect: {udp: closed, ipv6: "on", backend: nft, nameservers: [10.96.0.10, "fd00::10"]}
ignoredNamespaces: [kube-system]
namespaces:
  agents: {labels: {outrider.dev/injection: required}, annotations: {a: b}}
  other: {}
"""


ROOT = write_pem(CERTIFICATE, make_authority("corp.test", datetime.now(UTC), timedelta(days=1)).der)


def with_authorities(text: str) -> str:
    return "authorities: |\n" + "".join(f"  {line}\n" for line in text.splitlines())


def test_authorities_are_certificates_and_nothing_else() -> None:
    read = parse_settings(with_authorities(f"# ours\n{ROOT}\n{ROOT}"), "x").injection
    assert read == InjectionSettings(authorities=ROOT)
    assert "CERTIFICATE" not in repr(read)
    for none in ('""', '" "'):
        assert parse_settings(f"authorities: {none}\n", "x").injection == InjectionSettings()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ca.crt", "there is no PEM block"),
        (ROOT[:-40], "1 PEM blocks begin and 0"),
        (write_pem(CERTIFICATE, b"x"), "certificate 1 cannot be read"),
        (ROOT + write_pem("RSA PRIVATE KEY", b"x"), "it holds a private key, and everybody"),
        ("#" * 65536 + "\n" + ROOT, "at most 65536"),
    ],
)
def test_other_authorities_are_refused_with_their_cause(text: str, complaint: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(with_authorities(text), "x")
    (fault,) = caught.value.errors
    assert fault.path == "authorities"
    assert fault.message.startswith("no authorities can be read from it: ")
    assert complaint in fault.message


def test_an_empty_file_leaves_every_default() -> None:
    assert parse_settings("", "x").injection == InjectionSettings()
    assert parse_settings("# only a comment\n", "x").namespaces is None


def test_every_key_is_read() -> None:
    read = parse_settings(EVERYTHING, "x")
    assert read.injection == InjectionSettings(
        image="registry.example/sidecar@sha256:abc",
        image_pull_policy="Always",
        image_pull_secrets=("registry",),
        uid=2000,
        ports=Ports(16002, 16443, 16020, 16001, 16006),
        listen_host="[::]",
        native_sidecars=NativeSidecars.NEVER,
        identity=Identity(IdentityVolume.HOST_PATH, "agent.sock", "/run/spire"),
        policy_config_map="policies",
        cluster_domain="corp.lan",
        no_proxy=("metrics.internal", "10.0.0.0/8"),
        limits={"connections": 10, "idleSeconds": 1.5},
        defaults={
            "outrider.dev/memory-limit": "512Mi",
            "outrider.dev/cpu": "1",
            "outrider.dev/capture": "auto",
            "outrider.dev/interception": "on",
        },
        allow=frozenset({"mtls=permissive", "exclude-inbound-ports"}),
        redirect=Redirection("closed", "on", "nft", ("10.96.0.10", "fd00::10")),
        ignored_namespaces=frozenset({"kube-system"}),
    )
    assert type(read.injection.image_pull_policy) is str
    assert read.namespaces == {
        "agents": Namespace("agents", {"outrider.dev/injection": "required"}, {"a": "b"}),
        "other": Namespace("other"),
    }


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("{volume: none}", Identity(IdentityVolume.NONE)),
        ("{provider: workload-api}", Identity(provider=IdentityProvider.WORKLOAD_API)),
        ("{provider: none, volume: csi}", Identity(provider=IdentityProvider.NONE)),
        ("{provider: builtin}", Identity(provider=IdentityProvider.BUILTIN)),
        (
            "{provider: builtin, volume: none}",
            Identity(IdentityVolume.NONE, provider=IdentityProvider.BUILTIN),
        ),
        (
            "{provider: files, files: {csi: {driver: a.test, attributes: {x/y: z}}, key: k.pem}}",
            Identity(
                provider=IdentityProvider.FILES, files=Files(CsiVolume("a.test", {"x/y": "z"}), key="k.pem")
            ),
        ),
        (
            "{provider: files, files: {secret: s, certificate: c, bundle: b}}",
            Identity(provider=IdentityProvider.FILES, files=Files(secret="s", certificate="c", bundle="b")),
        ),
        (
            "{provider: files, files: {podCertificate: {signerName: a.test/b, keyType: ED25519, trustBundle: t}}}",
            Identity(
                provider=IdentityProvider.FILES,
                files=Files(pod_certificate=PodCertificate("a.test/b", "ED25519", "t")),
            ),
        ),
    ],
)
def test_each_provider_of_identities_has_its_section(text, identity) -> None:
    source = f"identity: {text}\ncontrolPlane: {{url: 'https://control:15012'}}"
    assert parse_settings(source, "x").injection.identity == identity


def test_the_control_plane_has_its_section() -> None:
    root = write_pem(CERTIFICATE, make_authority("a.org", datetime.now(UTC), timedelta(days=1)).der)
    lines = "".join(f"    {line}\n" for line in root.splitlines())
    source = f"controlPlane:\n  url: https://c/\n  audience: a\n  tokenSeconds: 600\n  roots: |\n{lines}"
    settings = parse_settings(source + "denials: forbidden\n", "x").injection
    assert settings.control_plane == ControlPlane("https://c/", "a", 600, root)
    assert settings.denials is Denials.FORBIDDEN
    assert settings.mounted_policies == ""
    assert "BEGIN" not in repr(settings)


def test_an_empty_url_is_no_control_plane() -> None:
    settings = parse_settings("controlPlane: {url: '', roots: ''}", "x").injection
    assert settings == InjectionSettings()
    assert settings.mounted_policies == "outrider-policies"


def test_private_addresses_are_refused_or_allowed() -> None:
    assert parse_settings("", "x").injection.egress.private_addresses == "refuse"
    with pytest.raises(SettingsInvalid, match=r"egress\.privateAddresses.*refuse or allow"):
        parse_settings("egress: {privateAddresses: some}", "x")


def test_parts_of_a_section_keep_the_other_defaults() -> None:
    read = parse_settings(
        "identity: {volume: none}\nports: {forward: 2000}\npolicyConfigMap: ''\n", "x"
    ).injection
    assert read.identity == Identity(IdentityVolume.NONE)
    assert read.ports == Ports(forward=2000)
    assert read.policy_config_map == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("imag: x", "imag: unknown field, did you mean image?"),
        ("image: ''", "image: must not be empty"),
        ("uid: 0", "uid: 0 is out of range"),
        ("ports: {forward: 80}", "ports.forward: 80 is out of range"),
        ("ports: {forward: 15020}", "must differ"),
        ("ports: {forward: 15001}", "must differ"),
        ("ports: {inboundRedirect: 80}", "out of range"),
        ("allow: [mtls]", "is nothing that can be allowed; allowed: capture=explicit, exclude-inbound-ports"),
        ("allow: mtls=permissive", "expected a list"),
        ("redirect: {udp: all}", 'redirect.udp: "all" is not a known value; allowed: quic or closed'),
        (
            "redirect: {nameservers: [dns.internal]}",
            'redirect.nameservers[0]: "dns.internal" is not an IP address',
        ),
        ("redirect: {backend: iptables}", "redirect.backend"),
        ("defaults: {interception: on}", "put it in quotes"),
        ("defaults: {exclude-outbound-cidrs: 0.0.0.0/0}", "excludes every destination"),
        ("ports: 3", "ports: expected a mapping"),
        ("identity: {volume: csii}", "did you mean csi?"),
        ("identity: {socket: ../x}", "is not a file name"),
        ("identity: {hostPath: x}", "is not an absolute path"),
        ("nativeSidecars: on", "allowed: auto, always, never"),
        ("nativeSidecars: sometimes", "allowed: auto, always, never"),
        ("identity: {provider: spire}", "allowed: workload-api, builtin, files, none"),
        ("identity: {provider: workload-api, volume: none}", "needs its socket; allowed: csi, hostPath"),
        (
            "uid: 3\nidentity: {provider: builtin}",
            ":2: identity.provider: the provider builtin is the control",
        ),
        ("identity: {builtin: {}}", "identity.builtin: unknown field"),
        ("controlPlane: {url: 'http://c'}", 'controlPlane.url: "http://c" is not an https:// URL'),
        ("controlPlane: {url: 'https://c:0'}", "is not an https:// URL"),
        ("controlPlane: {url: 'https://['}", "is not an https:// URL"),
        ("controlPlane: {url: 'https://c/path'}", "of a host alone"),
        ("controlPlane: {url: 'https://c?x'}", "of a host alone"),
        ("controlPlane: {url: 'https://me@c'}", "of a host alone"),
        ("controlPlane: {audience: ' '}", "controlPlane.audience: must not be empty"),
        ("controlPlane: {tokenSeconds: 60}", "600 to 86400"),
        ("controlPlane: {roots: x}", "controlPlane.roots: not certificates in PEM"),
        ("denials: silent", "allowed: hidden, forbidden"),
        ("controlPlane: {issuer: 'http://x'}", "is not an https:// URL without query"),
        ("controlPlane: {issuer: 'https://['}", "is not an https:// URL"),
        ("controlPlane: {issuer: 'https://x?y'}", "is not an https:// URL"),
        ("identity: {provider: files}", "identity.files: missing; the provider files needs it"),
        ("identity: {files: {}}", "identity.files: exactly one of csi, podCertificate, secret"),
        ("identity: {files: {secret: s, csi: {driver: d}}}", "exactly one of csi, podCertificate, secret"),
        ("identity: {files: {csi: {}}}", "identity.files.csi.driver: missing"),
        ("identity: {files: {secret: s, key: ../k}}", 'identity.files.key: "../k" is not a file name'),
        ("identity: {files: {podCertificate: {signerName: x}}}", "is not the name of a signer"),
        ("identity: {files: {podCertificate: {signerName: a.test/b, keyType: RSA}}}", "is no key type"),
        ("identity: {files: {podCertificate: {signerName: a.test/b}, key: k}}", "leave it out"),
        ("policyConfigMap: A_B", "is not the name of a ConfigMap"),
        ("policyConfigMap: 3", "put it in quotes"),
        ("clusterDomain: a b", "is not a DNS domain"),
        ("noProxy: ['*']", "would switch the sidecar off"),
        ("noProxy: ['a,b']", "is not one host"),
        ("limits: {a: '1'}", "limits.a: expected a number"),
        ("limits: {a: -1}", "limits.a: expected a number"),
        ("limits: [a]", "limits: expected a mapping"),
        ("limits: {a: *x}", "anchors and aliases are refused"),
        ("limits: {a: &x 1, b: *x}", "anchors and aliases are refused"),
        ("limits: &x {a: 1}\ndefaults: *x", "anchors and aliases are refused"),
        ("limits: {c: !!str 1}", "tags are refused"),
        ("defaults: {cpu: many}", 'defaults.cpu: "many" is not a quantity; allowed: a positive CPU'),
        ("defaults: {rate-limits: 1/m}", "defaults.rate-limits: unknown field"),
        ("defaults: {mode: observe}", "defaults.mode: "),
        ("defaults: {tools-deny: delete}", "defaults.tools-deny: "),
        ("defaults: 3", "defaults: expected a mapping"),
        ("imagePullPolicy: Sometimes", "allowed: Always, IfNotPresent, Never"),
        ("imagePullSecrets: [A_B]", "is not the name of a Secret"),
        ("namespaces: []", "namespaces: expected a mapping"),
        ("namespaces: {a: {labels: []}}", "namespaces.a.labels: expected a mapping"),
        ("namespaces: {a: {labels: {x: 1}}}", "put it in quotes"),
        ("namespaces: {a: {label: {}}}", "did you mean labels?"),
        ("a: 1\n---\nb: 2", "one document expected"),
        ("- a", "expected a mapping, found a list"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_fault_is_told_with_file_line_and_place(text, told) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(text, "settings.yaml")
    assert told in str(caught.value)
    assert str(caught.value).startswith("settings.yaml:")


def test_all_faults_come_at_once() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings("uid: 0\nimag: x\nlimits: {a: b}\n", "x")
    assert [error.line for error in caught.value.errors] == [1, 2, 3]
