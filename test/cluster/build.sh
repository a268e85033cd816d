#!/usr/bin/env bash
# Builds a real Kubernetes (kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubelet, kubectl) and etcd
# from their Go modules into $CLUSTER_HOME/bin. Cold: about 6 minutes on two cores; warm: seconds (Go's build cache).
# Needs only Go >= 1.25 and a Go module proxy. With arguments, builds only those programs.
set -euo pipefail
K8S=${K8S_VERSION:-1.35.4} ETCD=${ETCD_VERSION:-3.6.5}
HOME_DIR=${CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/k8s-test-cluster}/$K8S
BIN=$HOME_DIR/bin
mkdir -p "$BIN" "$HOME_DIR/src/k8s" "$HOME_DIR/src/etcd"
export GOFLAGS=-mod=mod CGO_ENABLED=0 GOTOOLCHAIN=local

kubernetes_module() { # a module that requires k8s.io/kubernetes, its staging modules pinned to the matching v0.x
  cd "$HOME_DIR/src/k8s"
  [ -f go.mod ] && return
  local dir staging
  dir=$(cd "$(mktemp -d)" && go mod download -json "k8s.io/kubernetes@v$K8S" | sed -n 's/.*"Dir": "\(.*\)",*/\1/p')
  staging=v0.${K8S#1.}
  {
    echo 'module testcluster'
    grep -m1 '^go ' "$dir/go.mod"
    grep '^godebug ' "$dir/go.mod" | grep -v '($' || true
    echo "require k8s.io/kubernetes v$K8S"
    sed -n "s#^\s*\(k8s.io/[^ ]*\) => \./staging.*#replace \1 => \1 $staging#p" "$dir/go.mod"
  } > go.mod.new
  mv go.mod.new go.mod # whole or not at all: an interrupted build must not leave half a module behind
}

build_kubernetes() {
  kubernetes_module
  local v=k8s.io/component-base/version minor=${K8S#1.}
  go build -trimpath -o "$BIN/$1" -ldflags "-s -w -X $v.gitVersion=v$K8S -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*}" "k8s.io/kubernetes/cmd/$1"
}

build_etcd() {
  cd "$HOME_DIR/src/etcd"
  printf 'module testetcd\ngo 1.25.0\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$ETCD" > go.mod
  printf 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n' > main.go
  go mod tidy 2>/dev/null
  go build -trimpath -ldflags '-s -w' -o "$BIN/etcd" .
}

[ $# -gt 0 ] || set -- etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl
for program in "$@"; do
  [ -x "$BIN/$program" ] && continue
  start=$SECONDS
  echo "building $program ..."
  case $program in etcd) build_etcd ;; *) build_kubernetes "$program" ;; esac
  echo "built $program in $((SECONDS - start)) s"
done
echo "$BIN"
