from __future__ import annotations

import io

import pytest
import yaml

from cli.main import main
from tests.support import outrider_cluster as cluster
from tests.support.cluster_over_http import kubeconfig, serving

POD = """apiVersion: v1
kind: Pod
metadata: {name: triage, labels: {outrider.dev/inject: "true"}}
spec: {containers: [{name: agent, image: a}]}
"""


BUILT_IN = ", with the built-in settings (--live takes the cluster's)\n"


def run(*arguments: str) -> int:
    return main(["inject", *arguments])


def test_standard_input_is_read(capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(POD))
    assert run("-f", "-") == 0
    out, report = capsys.readouterr()
    assert yaml.safe_load(out)["spec"]["initContainers"][0]["name"] == "outrider-sidecar"
    assert report == "<stdin>:1: Pod default/triage: injected\n1 injected" + BUILT_IN


def test_folders_are_read_by_name_and_other_files_are_left_alone(tmp_path, capsys) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.yaml").write_text(POD.replace("triage", "second"))
    (tmp_path / "sub" / "a.yml").write_text(POD.replace("triage", "third"))
    (tmp_path / "a.json").write_text('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "first"}}')
    (tmp_path / "README.md").write_text("{")
    assert run("-f", str(tmp_path)) == 0
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(capsys.readouterr().out)]
    assert names == ["first", "second", "third"]


def test_several_files_come_out_in_their_order(tmp_path, capsys) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(POD.replace("triage", name))
    run("-f", str(tmp_path / "b"), "-f", str(tmp_path / "a"))
    assert [one["metadata"]["name"] for one in yaml.safe_load_all(capsys.readouterr().out)] == ["b", "a"]


def test_when_something_is_refused_nothing_is_written(tmp_path, capsys) -> None:
    bad = POD.replace("containers:", "hostNetwork: true, containers:")
    (tmp_path / "x.yaml").write_text(f"{POD}---\n{bad}")
    assert run("-f", str(tmp_path)) == 1
    out, report = capsys.readouterr()
    assert out == ""
    assert "refused (host_network): " in report
    assert report.endswith("1 injected, 1 refused" + BUILT_IN)


PLAIN = POD.replace(', labels: {outrider.dev/inject: "true"}', "")


def test_manifests_that_nobody_opted_in_go_out_with_a_loud_warning(tmp_path, capsys) -> None:
    (tmp_path / "x.yaml").write_text(PLAIN)
    assert run("-f", str(tmp_path)) == 0
    out, report = capsys.readouterr()
    assert out == PLAIN
    assert "WARNING: NOTHING WAS INJECTED" in report
    assert "--namespace-labels outrider.dev/injection=enabled" in report
    (tmp_path / "y.yaml").write_text(POD)
    assert run("-f", str(tmp_path)) == 0
    assert "NOTHING" not in capsys.readouterr().err


def test_a_sidecar_that_nobody_asks_for_by_now_is_reported_and_kept(tmp_path, capsys) -> None:
    (tmp_path / "x.yaml").write_text(PLAIN)
    assert run("-f", str(tmp_path), "--namespace-labels", "outrider.dev/injection=enabled") == 0
    injected = capsys.readouterr().out
    (tmp_path / "x.yaml").write_text(injected)
    assert run("-f", str(tmp_path)) == 0
    out, report = capsys.readouterr()
    assert out == injected
    assert "Pod default/triage: kept (not_opted_in): it has a sidecar, which stays as it is" in report
    assert "NOTHING" not in report


@pytest.fixture
def live(tmp_path):
    api = cluster.over_http()
    with serving(api) as url:
        yield api, ["--live", "--kubeconfig", str(kubeconfig(tmp_path, url))]


SETTINGS = f"/api/v1/namespaces/{cluster.SPACE}/configmaps/outrider-webhook-settings"


def test_settings_and_labels_of_namespaces_are_the_clusters_where_it_is_asked(
    live, capsys, monkeypatch
) -> None:
    api, options = live
    api.objects[SETTINGS] = {"data": {"settings.yaml": "image: registry.example/mesh/sidecar:1"}}
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *options) == 0
    out, report = capsys.readouterr()
    assert yaml.safe_load(out)["spec"]["initContainers"][0]["image"] == "registry.example/mesh/sidecar:1"
    assert "Pod agents/triage: injected" in report
    assert report.endswith("1 injected, with the settings of the installation in outrider-system\n")


def test_a_file_of_settings_goes_before_those_of_the_cluster(live, tmp_path, capsys, monkeypatch) -> None:
    _, options = live
    (tmp_path / "s.yaml").write_text("image: other/sidecar:2")
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *options, "--settings", str(tmp_path / "s.yaml")) == 0
    assert "image: other/sidecar:2" in capsys.readouterr().out


def test_a_namespace_that_is_yet_to_come_has_no_labels(live, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *live[1], "-n", "tomorrow") == 0
    assert "Pod tomorrow/triage: skipped (not_opted_in)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (SETTINGS, 403, "The settings of the installation are not known"),
        (SETTINGS, 404, "there is no ConfigMap outrider-webhook-settings in namespace outrider-system"),
        ("/api/v1/namespaces/agents", 403, "Namespace agents cannot be read, and its labels decide"),
    ],
)
def test_nothing_is_assumed_where_the_cluster_was_to_say(
    live, path, status, words, capsys, monkeypatch
) -> None:
    api, options = live
    api.status[path] = status
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *options) == 2
    out, report = capsys.readouterr()
    assert out == ""
    assert words in report


def test_settings_of_another_version_are_not_guessed(live, capsys, monkeypatch) -> None:
    api, options = live
    api.objects[SETTINGS] = {"data": {"settings.yaml": "future: 1"}}
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *options) == 2
    assert "holds none that this version of the command understands" in capsys.readouterr().err


def test_a_cluster_without_outrider_is_told(live, capsys, monkeypatch) -> None:
    api, options = live
    del api.objects[SETTINGS]
    api.lists["/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"] = []
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *options) == 2
    assert "Outrider is not installed" in capsys.readouterr().err


ROOTS = f"/api/v1/namespaces/{cluster.SPACE}/configmaps/outrider-roots"
CONTROL = f"identity: {{provider: builtin}}\ncontrolPlane: {{url: '{cluster.CONTROL_URL}'}}\n"


def sidecar_variables(out: str) -> dict[str, str]:
    container = yaml.safe_load(out)["spec"]["initContainers"][0]
    return {one["name"]: one.get("value", "") for one in container["env"]}


@pytest.mark.parametrize("by_file", [False, True])
def test_the_roots_of_the_control_plane_are_the_clusters(
    live, by_file, tmp_path, capsys, monkeypatch
) -> None:
    _, options = live
    (tmp_path / "s.yaml").write_text(CONTROL)
    named = ["--settings", str(tmp_path / "s.yaml")] if by_file else []
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *options, *named) == 0
    assert sidecar_variables(capsys.readouterr().out)["OUTRIDER_CONTROL_ROOTS"] == cluster.root_pem()


def test_roots_that_a_file_names_go_before_those_of_the_cluster(live, tmp_path, capsys, monkeypatch) -> None:
    settings = yaml.safe_load(CONTROL)
    settings["controlPlane"]["roots"] = cluster.root_pem("own")
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *live[1], "--settings", str(tmp_path / "s.yaml")) == 0
    assert sidecar_variables(capsys.readouterr().out)["OUTRIDER_CONTROL_ROOTS"] == cluster.root_pem("own")


@pytest.mark.parametrize(
    ("roots", "status", "words"),
    [
        (None, 403, "ConfigMap outrider-system/outrider-roots cannot be read: "),
        ({"data": {}}, None, "ConfigMap outrider-system/outrider-roots has none yet."),
    ],
)
def test_no_pod_is_made_without_roots(live, roots, status, words, capsys, monkeypatch) -> None:
    api, options = live
    if roots is not None:
        api.objects[ROOTS] = roots
    if status is not None:
        api.status[ROOTS] = status
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    assert run("-f", "-", *options) == 2
    out, report = capsys.readouterr()
    assert out == ""
    assert f"The roots that vouch for the control plane are not known: {words}" in report


def test_without_a_cluster_the_refusal_says_where_roots_come_from(tmp_path, capsys, monkeypatch) -> None:
    (tmp_path / "s.yaml").write_text(CONTROL)
    monkeypatch.setattr("sys.stdin", io.StringIO(PLAIN))
    flags = ["--settings", str(tmp_path / "s.yaml"), "--namespace-labels", "outrider.dev/injection=enabled"]
    assert run("-f", "-", *flags) == 1
    report = capsys.readouterr().err
    assert "refused (control_roots_unknown)" in report
    assert "For the command line: `--live` takes them from the cluster." in report


def test_a_diff_shows_only_what_changes(tmp_path, capsys) -> None:
    (tmp_path / "x.yaml").write_text(POD + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n")
    assert run("-f", str(tmp_path / "x.yaml"), "--diff") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "+    outrider.dev/injected: 'true'" in lines
    assert not [line for line in lines if line.startswith("-") and not line.startswith("---")]
    assert not [line for line in lines if "Service" in line]


@pytest.mark.parametrize(
    ("labels", "result"),
    [
        ("outrider.dev/injection=enabled", "injected"),
        ("a=b,outrider.dev/injection=disabled", "refused (namespace_disabled)"),
        ("", "injected"),
    ],
)
def test_labels_of_namespaces_can_be_given(tmp_path, capsys, labels, result) -> None:
    (tmp_path / "x.yaml").write_text(POD)
    run("-f", str(tmp_path), "--namespace-labels", labels)
    assert f"Pod default/triage: {result}" in capsys.readouterr().err


def test_labels_that_are_none_are_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        run("-f", "-", "--namespace-labels", "enabled")
    assert "'enabled' is not KEY=VALUE" in capsys.readouterr().err


def test_namespaces_in_the_input_and_in_the_settings_count(tmp_path, capsys) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text('namespaces: {a: {labels: {"outrider.dev/injection": required}}}\n')
    pods = tmp_path / "pods"
    pods.mkdir()
    pod = POD.replace('labels: {outrider.dev/inject: "true"}', "namespace: NS")
    namespace = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: b, labels: {outrider.dev/injection: enabled}}\n"
    )
    documents = [pod.replace("NS", "a"), pod.replace("NS", "b"), pod.replace("NS", "c"), namespace]
    (pods / "x.yaml").write_text("---\n".join(documents))
    run("-f", str(pods), "--settings", str(settings))
    report = capsys.readouterr().err
    assert "a/triage: injected" in report
    assert "b/triage: injected" in report
    assert "c/triage: skipped (not_opted_in)" in report


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: [\n", ":3: not valid YAML: "),
        ("a: 1\na: 2\n", ":2: not valid YAML: key 'a' stands twice"),
        ("a: &x [*x]\n", ":1: an alias expands without measure"),
        ("a: !!python/object:os.system x\n", ":1: not valid YAML: could not determine a constructor"),
        ("a: " + "[" * 101 + "]" * 101, ":1: nested deeper than 100 levels"),
        ("a: \x00\n", "not valid YAML"),
        ("a: !!int x\n", "not valid YAML"),
        ("? [a]\n: b\n", "not valid YAML"),
    ],
)
def test_what_is_no_yaml_ends_with_two_and_the_line(tmp_path, capsys, text, told) -> None:
    (tmp_path / "x.yaml").write_text(text)
    assert run("-f", str(tmp_path / "x.yaml")) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert told in error
    assert error.startswith(str(tmp_path / "x.yaml"))


def test_aliases_that_multiply_are_refused_before_they_fill_memory(tmp_path, capsys) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    assert run("-f", str(tmp_path)) == 2
    assert "an alias expands without measure" in capsys.readouterr().err


def test_a_pod_whose_containers_share_an_alias_is_written_out(tmp_path, capsys) -> None:
    text = POD.replace(
        "[{name: agent, image: a}]",
        "[{name: a, env: &e [{name: NO_PROXY, value: x}]}, {name: b, env: *e}]",
    )
    (tmp_path / "x.yaml").write_text(text)
    assert run("-f", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "&" not in out
    first, second = yaml.safe_load(out)["spec"]["containers"]
    assert first["env"] == second["env"]


@pytest.mark.parametrize("path", ["missing.yaml", "bytes.yaml"])
def test_a_file_that_cannot_be_read_ends_with_two(tmp_path, capsys, path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    assert run("-f", str(tmp_path / path)) == 2
    assert path in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"\xff", b"uid: 0\n"])
def test_settings_that_cannot_be_used_end_with_two(tmp_path, capsys, content) -> None:
    settings = tmp_path / "settings.yaml"
    if content is not None:
        settings.write_bytes(content)
    (tmp_path / "x.yaml").write_text(POD)
    assert run("-f", str(tmp_path / "x.yaml"), "--settings", str(settings)) == 2
    assert "settings.yaml:1: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n---\n", "3\n", "[1]\n", "kind: 3\n", "kind: List\n"]
)
def test_input_without_pods_passes(tmp_path, capsys, text) -> None:
    (tmp_path / "x.yaml").write_text(text)
    assert run("-f", str(tmp_path)) == 0
    assert capsys.readouterr().err == "no pods found\n"


def test_documents_without_pods_keep_their_own_text(tmp_path, capsys) -> None:
    text = (
        "# licence é 😀\n---\n# about\nkind: ConfigMap   # 😀\ndata: {a: 'b', on: 012}\n---\nkind: Service\n"
    )
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    run("-f", str(tmp_path))
    assert capsys.readouterr().out == text


def test_directives_do_not_end_up_inside_a_document(tmp_path, capsys) -> None:
    (tmp_path / "x.yaml").write_text("%YAML 1.1\n---\nkind: ConfigMap\n...\n---\nkind: Service\n")
    run("-f", str(tmp_path))
    assert capsys.readouterr().out == "kind: ConfigMap\n---\nkind: Service\n"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("'1e3'", "1e3"),
        ("1e3", 1000.0),
        ("0755", 493),
        ("'y'", "y"),
        ("'null'", "null"),
        ("=", "="),
        (".5", 0.5),
        ('"a\\nb\\n"', "a\nb\n"),
        ("'0o17'", "0o17"),
        ("'<<'", "<<"),
        ("1_000", 1000),
        (".inf", float("inf")),
    ],
)
def test_values_keep_their_type_when_a_document_is_written_anew(tmp_path, capsys, written, read) -> None:
    (tmp_path / "x.yaml").write_text(POD.replace("image: a", f"image: a, future: {written}"))
    run("-f", str(tmp_path))
    out = capsys.readouterr().out
    assert yaml.safe_load(out)["spec"]["containers"][0]["future"] == read
