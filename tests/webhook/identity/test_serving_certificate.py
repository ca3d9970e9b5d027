from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files


def test_the_files_fit_together_and_the_key_is_private(tmp_path: Path) -> None:
    make_serving_files(tmp_path, ["ca.svc", "127.0.0.1", "::1"], datetime.now(UTC), timedelta(days=1))
    leaf = x509.load_pem_x509_certificate((tmp_path / CERT_FILE).read_bytes())
    root = x509.load_pem_x509_certificate((tmp_path / ROOT_FILE).read_bytes())
    leaf.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ca.svc"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [ROOT_FILE, CERT_FILE, KEY_FILE]
