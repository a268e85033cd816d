#!/usr/bin/env bash
# Builds the webhooks that Drawbridge is measured beside, those that can be had as Go modules, and prints the folder. Cold: two to four minutes on two cores;
# warm: nothing. Needs only Go >= 1.25 and a Go module proxy.
set -euo pipefail
VERSION=0.35.4
CACHE=${CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/k8s-test-cluster}
BIN=$CACHE/peers/pod-security-admission-$VERSION
. "$(dirname "$0")/../cluster/goPrograms.sh"

install pod-security-webhook "k8s.io/pod-security-admission/cmd/webhook@v$VERSION"
echo "$BIN"
