#!/usr/bin/env bash
# Builds helm and kubeconform from their Go modules into a cache outside the repository and prints the folder.
# Cold: two to five minutes on two cores; warm: nothing. Needs only Go >= 1.25 and a Go module proxy.
set -euo pipefail
HELM=${HELM_VERSION:-3.20.2} KUBECONFORM=${KUBECONFORM_VERSION:-0.7.0}
CACHE=${CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/k8s-test-cluster}
BIN=$CACHE/chart-tools/helm-$HELM-kubeconform-$KUBECONFORM
. "$(dirname "$0")/goPrograms.sh"

install helm "helm.sh/helm/v3/cmd/helm@v$HELM" "-X helm.sh/helm/v3/internal/version.version=v$HELM -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=35"
install kubeconform "github.com/yannh/kubeconform/cmd/kubeconform@v$KUBECONFORM"
echo "$BIN"
