#!/usr/bin/env bash
# Builds one of the webhooks that Drawbridge is measured beside, from its public module or package, and prints its folder, which lies outside the repository.
# Warm: nothing. Cold, on two cores: pod-security-admission and gatekeeper two to four minutes each, kyverno eight, pepr half a
# minute. Needs Go >= 1.26 and a Go module proxy, for pepr npm and a registry.
#
#   bash test/bench/peerServers.sh pod-security-admission | pepr | gatekeeper | kyverno
set -euo pipefail
. "$(dirname "$0")/../cluster/goPrograms.sh"
CACHE=${CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/k8s-test-cluster}

folderOf() { # module with version: where its files are
  # Twice: the first says on stderr what is wrong, the second only in its JSON.
  go mod download "$1" >&2 && go mod download -json "$1" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p'
}

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
    trap 'rm -rf "$DRAFT"' EXIT
    # Without its peer dependencies, which only its command line needs.
    npm install --prefix "$DRAFT" --loglevel error --no-audit --no-fund --ignore-scripts --legacy-peer-deps "$1@$VERSION" >&2
    # The Node that it was made for: on Node 24 it takes half as much CPU again (cloning a review does).
    npm install --prefix "$DRAFT/runtime" --loglevel error --no-audit --no-fund node@20.20.2 >&2
    [ -x "$DRAFT/runtime/node_modules/node/bin/node" ] || { echo "npm did not run the install script of node@20.20.2" >&2; exit 1; }
    # Whole or not at all; another run may have been quicker.
    mv -T "$DRAFT" "$BIN" 2> /dev/null || [ -d "$BIN" ]
  fi
  ;;
gatekeeper)
  VERSION=3.23.1
  BIN=$CACHE/peers/$1-$VERSION
  MODULE=github.com/open-policy-agent/gatekeeper/v3@v$VERSION
  install gatekeeper "$MODULE"
  if [ ! -d "$BIN/crds" ]; then
    SOURCE=$(folderOf "$MODULE")
    cp -r --no-preserve=mode "$SOURCE/charts/gatekeeper/crds" "$BIN/crds"
  fi
  ;;
kyverno)
  VERSION=1.19.1
  BIN=$CACHE/peers/$1-$VERSION
  if [ ! -d "$BIN" ]; then
    echo "building $1 (once) ..." >&2
    mkdir -p "$CACHE/peers"
    DRAFT=$(mktemp -d "$CACHE/peers/.XXXXXX")
    trap 'rm -rf "$DRAFT"' EXIT
    # Its module replaces another one, which `go install` refuses: it is built as the main module, in a copy since its folder cannot be written to.
    SOURCE=$(folderOf "github.com/kyverno/kyverno@v$VERSION")
    cp -r --no-preserve=mode "$SOURCE" "$DRAFT/source"
    (cd "$DRAFT/source" && go build -trimpath -ldflags "-s -w" -o "$DRAFT/kyverno" ./cmd/kyverno >&2)
    mv "$DRAFT/source/config/crds" "$DRAFT/crds"
    rm -r "$DRAFT/source"
    mv -T "$DRAFT" "$BIN" 2> /dev/null || [ -d "$BIN" ]
  fi
  ;;
*)
  sed -n 's/^#   //p' "$0" >&2
  exit 2
  ;;
esac
echo "$BIN"
