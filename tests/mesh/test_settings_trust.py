from __future__ import annotations

import pytest

from mesh.settings.trust import (
    BUNDLE_FILE,
    CA_FILE,
    JAVA_FILE,
    TRUST_DIRECTORY,
    TRUST_VARIABLES,
    TrustVariable,
    environment,
    merged,
    names_public_roots,
)


def test_every_variable_stands_in_the_table_once_and_says_who_reads_it() -> None:
    names = [variable.name for variable in TRUST_VARIABLES]
    assert len(set(names)) == len(names)
    assert all(variable.readers.endswith(".") for variable in TRUST_VARIABLES)


@pytest.mark.parametrize("variable", TRUST_VARIABLES, ids=lambda variable: variable.name)
def test_who_replaces_its_roots_gets_a_bundle_and_who_adds_to_them_our_ca_alone(
    variable: TrustVariable,
) -> None:
    assert variable.file == (CA_FILE if variable.adds else JAVA_FILE if variable.is_list else BUNDLE_FILE)


def test_the_folder_of_the_image_stays_in_force_beside_our_file() -> None:
    assert "SSL_CERT_DIR" not in environment()


def test_values_name_files_of_the_folder() -> None:
    assert environment()["SSL_CERT_FILE"] == f"{TRUST_DIRECTORY}/bundle.pem"
    assert environment("/elsewhere")["NODE_EXTRA_CA_CERTS"] == "/elsewhere/ca.pem"
    assert (
        "-Djavax.net.ssl.trustStore=/elsewhere/truststore.p12 "
        in environment("/elsewhere")["JAVA_TOOL_OPTIONS"]
    )


@pytest.mark.parametrize(
    ("value", "public"),
    [("/etc/ssl/certs/ca-certificates.crt", True), ("/etc/corporate/ca.pem", False), ("", False)],
)
def test_a_value_of_the_pod_is_replaced_only_where_it_means_the_public_roots(
    value: str, public: bool
) -> None:
    assert names_public_roots(value) is public


VARIABLES = {variable.name: variable for variable in TRUST_VARIABLES}
OURS = environment()
OTHER_STORE = "-Djavax.net.ssl.trustStore=/app/store.p12"


@pytest.mark.parametrize(
    ("name", "present", "value"),
    [
        ("SSL_CERT_FILE", "", OURS["SSL_CERT_FILE"]),
        ("SSL_CERT_FILE", OURS["SSL_CERT_FILE"], OURS["SSL_CERT_FILE"]),
        ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt", OURS["SSL_CERT_FILE"]),
        ("SSL_CERT_FILE", "/app/corporate.pem", None),
        ("NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt", OURS["NODE_EXTRA_CA_CERTS"]),
        ("NODE_EXTRA_CA_CERTS", "/app/corporate.pem", None),
        ("JAVA_TOOL_OPTIONS", "-Xmx1g", f"-Xmx1g {OURS['JAVA_TOOL_OPTIONS']}"),
        ("JAVA_TOOL_OPTIONS", f"-Xmx1g {OURS['JAVA_TOOL_OPTIONS']}", f"-Xmx1g {OURS['JAVA_TOOL_OPTIONS']}"),
        ("JAVA_TOOL_OPTIONS", OTHER_STORE, None),
    ],
)
def test_ours_is_set_unless_it_would_hide_roots_of_the_pod(
    name: str, present: str, value: str | None
) -> None:
    assert merged(VARIABLES[name], present) == value
