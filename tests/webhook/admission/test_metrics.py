from __future__ import annotations

from webhook.admission.metrics import CERTIFICATE_EXPIRY, TABLE, TURNED_AWAY, AdmissionMetrics


def test_admissions_are_counted_by_result_and_reason() -> None:
    metrics = AdmissionMetrics()
    metrics.count("injected", "injected", 0.0004)
    metrics.count("injected", "injected", 0.02)
    metrics.count("refused", "host_network", 9.0)
    metrics.set(CERTIFICATE_EXPIRY, 1.5)
    metrics.add(TURNED_AWAY, "bytes")
    lines = metrics.render().splitlines()
    assert 'outrider_admissions_total{result="injected",reason="injected"} 2' in lines
    assert 'outrider_admissions_total{result="refused",reason="host_network"} 1' in lines
    assert 'outrider_admission_seconds_bucket{le="0.001"} 1' in lines
    assert 'outrider_admission_seconds_bucket{le="0.025"} 2' in lines
    assert 'outrider_admission_seconds_bucket{le="+Inf"} 3' in lines
    assert "outrider_admission_seconds_count 3" in lines
    assert "outrider_webhook_certificate_not_after_seconds 1.5" in lines
    assert 'outrider_admission_turned_away_total{reason="bytes"} 1' in lines
    assert metrics.get(TURNED_AWAY, "bytes") == 1
    assert metrics.render().endswith("\n")


def test_every_series_is_named_once_and_explained() -> None:
    lines = AdmissionMetrics().render().splitlines()
    for row in TABLE:
        assert f"# TYPE {row.name} {row.type}" in lines
        assert sum(line.startswith(f"# HELP {row.name} ") for line in lines) == 1
