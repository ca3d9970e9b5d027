from __future__ import annotations

from webhook.admission.metrics import AdmissionMetrics


def test_admissions_are_counted_by_result_and_reason() -> None:
    metrics = AdmissionMetrics()
    metrics.count("injected", "injected", 0.0004)
    metrics.count("injected", "injected", 0.02)
    metrics.count("refused", "host_network", 9.0)
    metrics.certificate_not_after = 1.5
    lines = metrics.render().splitlines()
    assert 'outrider_admissions_total{result="injected",reason="injected"} 2' in lines
    assert 'outrider_admissions_total{result="refused",reason="host_network"} 1' in lines
    assert 'outrider_admission_seconds_bucket{le="0.001"} 1' in lines
    assert 'outrider_admission_seconds_bucket{le="0.025"} 2' in lines
    assert 'outrider_admission_seconds_bucket{le="+Inf"} 3' in lines
    assert "outrider_admission_seconds_count 3" in lines
    assert "outrider_webhook_certificate_not_after_seconds 1.5" in lines
    assert metrics.render().endswith("\n")
