#!/usr/bin/env bash
# Builds one of the webhooks that Drawbridge is measured beside, from its public module or package, and prints its folder, which lies outside the repository.
# Warm: nothing. Cold, on two cores: pod-security-admission two to four minutes, pepr half a minute. Needs Go >= 1.25 and a Go module
# proxy, for pepr npm and a registry.
#
#   bash test/bench/peerServers.sh pod-security-admission | pepr
set -euo pipefail
. "$(dirname "$0")/../cluster/goPrograms.sh"
CACHE=${CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/k8s-test-cluster}

case ${1:-} in
pod-security-admission)
  VERSION=0.35.4
  BIN=$CACHE/peers/$1-$VERSION
  install pod-security-webhook "k8s.io/pod-security-admission/cmd/webhook@v$VERSION"
  ;;
pepr)
  VERSION=20.0.0
  BIN=$CACHE/peers/$1-$VERSION
  if [ ! -d "$BIN" ]; then
    echo "installing $1 (once) ..." >&2
    mkdir -p "$CACHE/peers"
    DRAFT=$(mktemp -d "$CACHE/peers/.XXXXXX")
    # Without its peers, which only its command line needs.
    npm install --prefix "$DRAFT" --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps "$1@$VERSION" >&2 || { rm -rf "$DRAFT"; exit 1; }
    # Whole or not at all; another run may have been quicker.
    mv -T "$DRAFT" "$BIN" 2> /dev/null || rm -rf "$DRAFT"
  fi
  ;;
*)
  sed -n 's/^#   //p' "$0" >&2
  exit 2
  ;;
esac
echo "$BIN"
