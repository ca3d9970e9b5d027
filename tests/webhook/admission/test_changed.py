from __future__ import annotations

import pytest

from mesh.reasons import Reason
from webhook.admission.changed import admit_update, repository
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Refusal
from webhook.admission.settings import InjectionSettings, NativeSidecars

DIGEST = "sha256:" + "0" * 64
NATIVE = InjectionSettings()
ORDINARY = InjectionSettings(native_sidecars=NativeSidecars.NEVER)


@pytest.fixture(params=[NATIVE, ORDINARY], ids=["native", "ordinary"])
def running(request, pod, enabled):
    """A pod with its sidecar, and `outrider-redirect`."""
    annotated = pod(annotations={"outrider.dev/capture": "transparent"})
    became = inject(annotated, enabled, request.param)
    assert isinstance(became, Injection)
    return became.pod


def changed(pod, name, image):
    after = unshared(pod)
    for container in (*after["spec"]["initContainers"], *after["spec"]["containers"]):
        if container["name"] == name:
            container["image"] = image
    return after


@pytest.mark.parametrize("name", ["outrider-sidecar", "outrider-redirect"])
@pytest.mark.parametrize(
    "image",
    ["evil", "outrider/sidecar-evil:1", "evil.example/outrider/sidecar:0.1.0", "outrider/sidecar:5000/x"],
)
def test_the_image_of_somebody_else_is_refused(running, settings, name, image) -> None:
    refusal = admit_update(changed(running, name, image), running, settings)
    assert (type(refusal), refusal.reason) == (Refusal, Reason.SIDECAR_IMAGE)
    assert f"container {name}, image {image}" in refusal.sentence


@pytest.mark.parametrize("image", ["outrider/sidecar", "outrider/sidecar:9", f"outrider/sidecar@{DIGEST}"])
def test_other_versions_of_our_own_may_run(running, settings, image) -> None:
    outcome = admit_update(changed(running, "outrider-sidecar", image), running, settings)
    assert outcome.reason is Reason.NOT_VALIDATED


def test_an_image_that_is_there_already_may_stay(running, settings) -> None:
    odd = changed(running, "outrider-sidecar", "evil")
    assert admit_update(odd, odd, settings).reason is Reason.NOT_VALIDATED


def test_images_of_the_application_are_its_own(running, settings) -> None:
    assert admit_update(changed(running, "agent", "any"), running, settings).reason is Reason.NOT_VALIDATED


@pytest.mark.parametrize("broken", [{}, {"spec": 3}])
def test_what_is_no_pod_is_refused(running, settings, broken) -> None:
    for new, old in ((broken, running), (running, broken)):
        assert admit_update(new, old, settings).reason is Reason.POD_MALFORMED


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("a", "a"),
        ("a:1", "a"),
        ("r.example:5000/a/b", "r.example:5000/a/b"),
        ("r.example:5000/a/b:1", "r.example:5000/a/b"),
        (f"r.example/a:1@{DIGEST}", "r.example/a"),
        ("", ""),
    ],
)
def test_a_repository_is_the_image_without_tag_and_digest(image, expected) -> None:
    assert repository(image) == expected
