{{/* Labels of every object; the first finds them all, in any namespace. */}}
{{- define "outrider.labels" -}}
app.kubernetes.io/part-of: outrider
app.kubernetes.io/name: outrider-webhook
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{/* What selects the control plane's pods. Never changes: a Deployment's selector cannot. */}}
{{- define "outrider.selector" -}}
app.kubernetes.io/name: outrider-webhook
app.kubernetes.io/part-of: outrider
{{- end }}

{{/* The repository of an image with its registry. */}}
{{- define "outrider.repository" -}}
{{- if .registry }}{{ trimSuffix "/" .registry }}/{{ end }}{{ .repository }}
{{- end }}

{{/* An image reference. Takes {image, version}. */}}
{{- define "outrider.image" -}}
{{- $repository := include "outrider.repository" .image -}}
{{- if .image.digest }}{{ $repository }}@{{ .image.digest }}
{{- else }}{{ $repository }}:{{ .image.tag | default .version }}
{{- end }}
{{- end }}

{{/* Namespaces whose pods are left alone: those of the settings, and our own, which must start without us. */}}
{{- define "outrider.excludedNamespaces" -}}
{{- append .Values.settings.ignoredNamespaces .Release.Namespace | uniq | sortAlpha | toJson }}
{{- end }}

{{/* The settings file. */}}
{{- define "outrider.settings" -}}
{{- $image := include "outrider.image" (dict "image" .Values.sidecarImage "version" .Chart.AppVersion) -}}
{{- $ours := dict "image" $image "imagePullPolicy" .Values.sidecarImage.pullPolicy -}}
{{- $ignored := include "outrider.excludedNamespaces" . | fromJsonArray -}}
{{- $url := "" -}}
{{- if .Values.control.enabled -}}
{{- $url = printf "https://outrider-control.%s.svc.%s:%v" .Release.Namespace .Values.settings.clusterDomain .Values.control.port -}}
{{- end -}}
{{- $control := dict "url" (.Values.control.url | default $url) "tokenSeconds" .Values.control.tokenSeconds -}}
{{- with .Values.identity.issuer }}{{ $_ := set $control "issuer" . }}{{ end -}}
{{- $identity := include "outrider.identity" . | fromYaml -}}
{{- if .Values.federation.trustDomains }}{{ $_ := set $ours "federation" .Values.federation.trustDomains }}{{ end -}}
{{- with .Values.authorities }}{{ $_ := set $ours "authorities" . }}{{ end -}}
{{- $settings := merge (dict "ignoredNamespaces" $ignored "identity" $identity "controlPlane" $control) $ours (deepCopy .Values.settings) -}}
{{- toYaml $settings }}
{{- end }}

{{/* Who issues identities, in the words of the settings file. */}}
{{- define "outrider.identity" -}}
{{- $identity := .Values.identity -}}
{{- $settings := dict "provider" (ternary "workload-api" $identity.provider (eq $identity.provider "spire")) -}}
{{- if eq $identity.provider "spire" }}{{ $settings = merge $settings (deepCopy $identity.spire) }}{{ end -}}
{{- if eq $identity.provider "files" }}{{ $settings = merge $settings (dict "files" (deepCopy $identity.files)) }}{{ end -}}
{{- toYaml $settings }}
{{- end }}

{{/* "true" where a cluster answers, so that its kinds are known; `helm template` asks nobody. */}}
{{- define "outrider.asked" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}true{{ end }}
{{- end }}

{{/* "true" where the kind exists, or nobody was asked. Takes {root, kind}. */}}
{{- define "outrider.hasKind" -}}
{{- if or (.root.Capabilities.APIVersions.Has .kind) (not (include "outrider.asked" .root)) }}true{{ end }}
{{- end }}

{{/* "true" where the ValidatingAdmissionPolicy is made. */}}
{{- define "outrider.finalState" -}}
{{- $kind := "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" -}}
{{- if eq .Values.finalState.mode "always" }}true
{{- else if eq .Values.finalState.mode "never" }}
{{- else if include "outrider.asked" . }}
{{- if .Capabilities.APIVersions.Has $kind }}true{{ end }}
{{- else if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true
{{- end }}
{{- end }}

{{/* "true" where PodMonitors are made. */}}
{{- define "outrider.podMonitor" -}}
{{- if and .Values.podMonitor.enabled (include "outrider.hasKind" (dict "root" . "kind" "monitoring.coreos.com/v1/PodMonitor")) }}true{{ end }}
{{- end }}

{{/* Expressions of the webhook entries, one line each and quoted. */}}
{{- define "outrider.notAMirror" -}}
"!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)"
{{- end }}
{{- define "outrider.notOptedOutElsewhere" -}}
"!has(object.metadata.labels) || 'outrider.dev/inject' in object.metadata.labels || !['rossoctl.io/inject', 'kagenti.io/inject'].exists(key, key in object.metadata.labels && object.metadata.labels[key] == 'disabled')"
{{- end }}
{{- define "outrider.hasASidecar" -}}
"(has(object.spec.initContainers) && object.spec.initContainers.exists(c, c.name == 'outrider-sidecar')) || object.spec.containers.exists(c, c.name == 'outrider-sidecar')"
{{- end }}

{{- define "outrider.sidecarImageChanged" -}}
{{- $every := "((has(%[1]s.spec.initContainers) ? %[1]s.spec.initContainers : []) + %[1]s.spec.containers)" -}}
{{- $ours := include "outrider.imageIsOurs" (dict "root" . "image" "c.image") -}}
{{- printf "%s.exists(c, c.name in ['outrider-sidecar', 'outrider-redirect'] && !%s && !%s.exists(old, old.name == c.name && old.image == c.image))" (printf $every "object") $ours (printf $every "oldObject") | quote }}
{{- end }}

{{/* Volumes that only the sidecar mounts. */}}
{{- define "outrider.reservedVolumes" -}}
["outrider-hidden-secrets", "outrider-identity", "outrider-policy", "outrider-state", "outrider-tmp", "outrider-token", "outrider-trust"{{ range until 16 }}, "outrider-credentials-{{ . }}"{{ end }}]
{{- end }}

{{/* CEL: capabilities that undo transparent capture, as webhook/admission/boundary.py has them. */}}
{{- define "outrider.undoing" -}}
['ALL', 'BPF', 'DAC_READ_SEARCH', 'NET_ADMIN', 'NET_RAW', 'PERFMON', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_ADMIN', 'SYS_MODULE', 'SYS_RAWIO']
{{- end }}

{{/* Repositories that the sidecar's image may come from. */}}
{{- define "outrider.repositories" -}}
{{- .Values.finalState.images | default (list (include "outrider.repository" .Values.sidecarImage)) | toJson }}
{{- end }}

{{/* CEL: an image is of one of these repositories, whatever its tag or digest. Takes {root, image}. */}}
{{- define "outrider.imageIsOurs" -}}
[{{ range $place, $one := include "outrider.repositories" .root | fromJsonArray }}{{ if $place }}, {{ end }}'{{ $one }}'{{ end }}].exists(one, {{ .image }} == one || {{ .image }}.startsWith(one + ':') || {{ .image }}.startsWith(one + '@'))
{{- end }}

{{/* CEL: container c mounts no reserved volume; the trust volume may be read, exactly as webhook/admission/trust.py
mounts it. */}}
{{- define "outrider.mountsAllowed" -}}
c.?volumeMounts.orValue([]).all(m, !(m.name in variables.reservedVolumes) || m.name == 'outrider-trust' && m.mountPath == '/run/outrider/trust' && m.?readOnly.orValue(false) && !has(m.subPath) && !has(m.subPathExpr) && !has(m.mountPropagation)) && c.?volumeDevices.orValue([]).all(d, !(d.name in variables.reservedVolumes))
{{- end }}
