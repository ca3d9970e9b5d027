//go:build tools

// Package kubernetes keeps the two programs in go.mod, which would otherwise lose them as unused.
package kubernetes

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
)
