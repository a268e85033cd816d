#!/usr/bin/env bash
# A real single-node Kubernetes on this machine, on loopback only.
#   cluster.sh up [--node]   control plane; with --node also containerd + kubelet + kube-proxy, so that pods really run (root, Linux)
#   cluster.sh down          stops what `up` started (by pid, after checking that the pid is still ours) and deletes its state
#   cluster.sh env           prints export KUBECONFIG=... PATH=...
#   cluster.sh user NAME [GROUP...]   a client certificate signed by the test CA; prints the path of its kubeconfig
#   cluster.sh apiserver stop|start [FLAG...]   takes the API server away and brings it back, same port, same data, with these flags too
#   cluster.sh reboot        the node loses its power and comes back: control plane, containers, everything
#   cluster.sh import ARCHIVE   an image into containerd, from a docker-archive
#   cluster.sh tag NAME ANOTHER   another name for an image in containerd
#   cluster.sh image NAME[,NAME...] FILE:PATH[,FILE:PATH...] ENTRYPOINT...   FROM-scratch images in containerd, without a registry
# CLUSTER_RUN    the run directory (default $CLUSTER_HOME/$K8S_VERSION/run; not below runs/ there: tests remove what no test process owns). One cluster each; several at a time need their own ports.
# CLUSTER_BIN    where the programs are (default: what build.sh built). Without kube-controller-manager there, none is started.
# API_PORT, ETCD_PORT, ETCD_PEER_PORT   default 6443, 2379, ETCD_PORT + 1
# API_ARGS       adds kube-apiserver flags (for example --disable-admission-plugins=PodSecurity or an audit webhook's).
# ETCD_ARGS      replaces etcd's --unsafe-no-fsync (set it empty for any figure that is called durable).
# Run build.sh first. --node needs Debian's containerd, runc, containernetworking-plugins, nftables and gcc, and there can be only one.
set -euo pipefail
K8S=${K8S_VERSION:-1.35.4}
HOME_DIR=${CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/k8s-test-cluster}/$K8S
BIN=${CLUSTER_BIN:-$HOME_DIR/bin} RUN=${CLUSTER_RUN:-$HOME_DIR/run}
PORT=${API_PORT:-6443} ETCD_PORT=${ETCD_PORT:-2379} NODE_IP=10.123.0.1 SOCKET=$RUN/containerd.sock STATE=/run/drawbridge-test-node BRIDGE=drawbridge-test
PEER_PORT=${ETCD_PEER_PORT:-$((ETCD_PORT + 1))}
# Where the API server listens. Pods cannot reach 127.0.0.1 of their node, and a node's address may not be that: with a node it is the address of the node.
ADDRESS=127.0.0.1
API_ARGS=${API_ARGS:-} ETCD_ARGS=${ETCD_ARGS---unsafe-no-fsync}
HERE=$(cd "$(dirname "$0")" && pwd)
# What `up` was given, for the other commands.
# shellcheck disable=SC1091
[ "${1:-}" = up ] || [ ! -f "$RUN/settings" ] || . "$RUN/settings"
export PATH=$BIN:$PATH KUBECONFIG=$RUN/admin.kubeconfig

start() { # start NAME COMMAND...: in the background, log and pid under $RUN. The command names $RUN, so that `ours` can recognise it.
  local name=$1; shift
  setsid nohup "$@" >> "$RUN/log/$name.log" 2>&1 < /dev/null &
  echo $! > "$RUN/$name.pid"
}

ours() { # ours PID: is it a process whose command line names this run directory? A pid file may outlive its process and the number be given away.
  local command
  if [ -r "/proc/$1/cmdline" ]; then command=$(tr '\0' ' ' < "/proc/$1/cmdline"); else command=$(ps -o args= -p "$1" 2> /dev/null || true); fi
  case $command in *"$RUN/"*) return 0 ;; *) return 1 ;; esac
}

wait_for() { # wait_for SECONDS COMMAND...
  local n=$(( $1 * 10 )); shift
  for _ in $(seq "$n"); do "$@" > /dev/null 2>&1 && return; sleep 0.1; done
  echo "gave up waiting for: $*" >&2; tail -n 5 "$RUN"/log/*.log >&2; return 1
}

certificate() { # certificate NAME SUBJECT [SAN]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "pki/$1.key" -out "pki/$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "pki/$1.csr" -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -days 365 -out "pki/$1.crt" \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth' "${3:-DNS:client}") 2> /dev/null
}

kubeconfig() { # kubeconfig NAME
  ( umask 077; cat > "$1.kubeconfig" ) <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$ADDRESS:$PORT", certificate-authority-data: $(base64 < pki/ca.crt | tr -d '\n')}}]
users: [{name: user, user: {client-certificate-data: $(base64 < "pki/$1.crt" | tr -d '\n'), client-key-data: $(base64 < "pki/$1.key" | tr -d '\n')}}]
contexts: [{name: test, context: {cluster: test, user: user}}]
current-context: test
YAML
}

identities() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout pki/ca.key -out pki/ca.crt -days 365 -subj /CN=test-ca 2> /dev/null
  certificate apiserver /CN=kube-apiserver "IP:127.0.0.1,IP:$NODE_IP,IP:10.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc"
  certificate admin /O=system:masters/CN=admin
  certificate controller-manager /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate kubelet /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:$NODE_IP"
  openssl genrsa -out pki/sa.key 2048 2> /dev/null
  openssl rsa -in pki/sa.key -pubout -out pki/sa.pub 2> /dev/null
  for name in admin controller-manager scheduler kubelet; do kubeconfig $name; done
}

user() { # user NAME [GROUP...]
  local name=$1 subject=''; shift
  case $name in *[!a-z0-9.-]* | '' | apiserver | admin | ca | sa) echo "not a usable name: $name" >&2; return 2 ;; esac
  for group in "$@"; do subject=$subject/O=$group; done
  certificate "$name" "$subject/CN=$name"
  kubeconfig "$name"
  echo "$RUN/$name.kubeconfig"
}

apiserver() {
  local without='' reconciler=none
  # Pods reach the API server by the Service `kubernetes`, whose endpoint it writes itself.
  [ "$ADDRESS" != "$NODE_IP" ] || reconciler=lease
  # Without a controller manager nothing makes the `default` service accounts that pods need.
  [ -x "$BIN/kube-controller-manager" ] || without=--disable-admission-plugins=ServiceAccount
  # shellcheck disable=SC2086 # API_ARGS is a list
  start apiserver kube-apiserver --etcd-servers="http://127.0.0.1:$ETCD_PORT" --secure-port="$PORT" --bind-address=$ADDRESS --advertise-address=$NODE_IP --endpoint-reconciler-type="$reconciler" \
    --tls-cert-file="$RUN/pki/apiserver.crt" --tls-private-key-file="$RUN/pki/apiserver.key" --client-ca-file="$RUN/pki/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$RUN/pki/sa.pub" --service-account-signing-key-file="$RUN/pki/sa.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction $without --allow-privileged=true --service-cluster-ip-range=10.0.0.0/24 \
    --kubelet-client-certificate="$RUN/pki/admin.crt" --kubelet-client-key="$RUN/pki/admin.key" --kubelet-preferred-address-types=InternalIP $API_ARGS
  wait_for 60 kubectl get --raw /readyz
}

start_etcd() {
  # shellcheck disable=SC2086 # ETCD_ARGS is a list
  start etcd etcd --data-dir "$RUN/etcd" $ETCD_ARGS --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" --listen-peer-urls "http://127.0.0.1:$PEER_PORT"
}

control_plane() {
  start_etcd
  apiserver
  controllers
  [ ! -x "$BIN/kube-controller-manager" ] || wait_for 60 kubectl get serviceaccount default
}

controllers() {
  [ -x "$BIN/kube-controller-manager" ] || return 0
  # --secure-port=0: nobody asks for its metrics, and two clusters would fight for the port
  start controller-manager kube-controller-manager --kubeconfig="$RUN/controller-manager.kubeconfig" --service-account-private-key-file="$RUN/pki/sa.key" --root-ca-file="$RUN/pki/ca.crt" \
    --use-service-account-credentials --cluster-signing-cert-file="$RUN/pki/ca.crt" --cluster-signing-key-file="$RUN/pki/ca.key" --leader-elect=false --secure-port=0
}

# Controllers wait longer with every outage, half a minute after the third: fresh ones see the API server at once.
restart_controllers() { stop controller-manager 2; controllers; }

pause_image() { # the sandbox image: a process that waits
  printf '#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\nstatic void quit(int s) { exit(0); }\nint main() { signal(SIGTERM, quit); signal(SIGINT, quit); signal(SIGCHLD, SIG_IGN); for (;;) pause(); }\n' > pause.c
  gcc -static -Os -o pause pause.c
  image registry.k8s.io/pause:3.10 "$RUN/pause:pause" /pause
}

node() {
  # restrict_oom_score_adj: where CAP_SYS_RESOURCE is missing, runc otherwise dies with "can't get final child's PID from pipe: EOF"
  cat > containerd.toml <<TOML
version = 2
root = "$RUN/containerd"
state = "$STATE"
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "registry.k8s.io/pause:3.10"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni"
TOML
  cat > cni/10-bridge.conflist <<JSON
{"cniVersion":"1.0.0","name":"test","plugins":[{"type":"bridge","bridge":"$BRIDGE","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local","dataDir":"$RUN/cni-state","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"loopback"}]}
JSON
  # Kubernetes 1.35 refuses cgroup v1 hosts unless failCgroupV1 is false
  cat > kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$SOCKET
tlsCertFile: $RUN/pki/kubelet.crt
tlsPrivateKeyFile: $RUN/pki/kubelet.key
evictionHard: {}
imageGCHighThresholdPercent: 100
seccompDefault: false
YAML
  start_containerd
  pause_image > /dev/null
  start_node
}

start_containerd() {
  start containerd containerd -c "$RUN/containerd.toml"
  wait_for 20 ctr --address "$SOCKET" version
}

start_node() {
  start scheduler kube-scheduler --kubeconfig="$RUN/scheduler.kubeconfig" --leader-elect=false --secure-port=0
  start kubelet kubelet --config="$RUN/kubelet.yaml" --kubeconfig="$RUN/kubelet.kubeconfig" --hostname-override=node1 --node-ip=$NODE_IP --root-dir="$RUN/kubelet"
  start kube-proxy kube-proxy --kubeconfig="$RUN/admin.kubeconfig" --proxy-mode=nftables --hostname-override=node1 --cluster-cidr=10.244.0.0/24 \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
  wait_for 60 kubectl wait --for=condition=Ready node/node1 --timeout=1s
}

# Everything ends at once and nothing of it is cleaned up by whoever made it, as when the power fails.
stop_node() {
  local name task
  for name in kubelet kube-proxy; do stop $name 0; done
  for task in $(ctr --address "$SOCKET" --namespace k8s.io tasks list --quiet); do
    ctr --address "$SOCKET" --namespace k8s.io tasks delete --force "$task" > /dev/null 2>&1 || true
  done
  for name in scheduler controller-manager apiserver etcd containerd; do stop $name 2; done
  { mount | awk -v d="$RUN/" 'index($3, d) == 1 {print $3}'; mount | awk -v d="$STATE/" 'index($3, d) == 1 {print $3}'; } | sort -r | xargs -r umount -l
  # What lives in memory on a real machine.
  rm -rf "$STATE/io.containerd.runtime.v2.task" "$RUN/cni-state"
  kube-proxy --proxy-mode=nftables --cleanup > /dev/null 2>&1 || true
  ip link delete "$BRIDGE" 2> /dev/null || true
}

reboot() {
  stop_node
  start_etcd
  apiserver
  controllers
  start_containerd
  start_node
}

claim_node() { # One node at a time: it has one address, one bridge and one set of rules in the kernel.
  local said=''
  until (set -o noclobber; echo "$RUN" > "$STATE.owner") 2> /dev/null; do
    [ -d "$(cat "$STATE.owner" 2> /dev/null)" ] || { rm -f "$STATE.owner"; continue; }
    [ -n "$said" ] || echo "waiting: there is one node at a time, now that of CLUSTER_RUN=$(cat "$STATE.owner") (is nobody using it? With that setting: cluster.sh down)" >&2
    said=yes
    sleep 1
  done
}

release_node() { # only if it is ours
  [ "$(cat "$STATE.owner" 2> /dev/null)" = "$RUN" ] || return 0
  stop_node
  ip address delete "$NODE_IP/32" dev lo 2> /dev/null || true
  rm -rf "$STATE" "$STATE.owner"
}

image() { # image NAME[,...] FILE:PATH[,...] ENTRYPOINT...
  local names=$1 files=$2 archive; shift 2
  archive=$(mktemp)
  python3 "$HERE/image.py" "$archive" "$names" "$files" "$@"
  ctr --address "$SOCKET" --namespace k8s.io images import "$archive"
  rm -f "$archive"
}

stop() { # stop NAME: by its pid if that is still ours, and wait until it is gone
  [ -f "$RUN/$1.pid" ] || return 0
  local pid; pid=$(cat "$RUN/$1.pid")
  if ours "$pid"; then
    kill "$pid" 2> /dev/null || true
    for _ in $(seq "${2:-100}"); do ours "$pid" || break; sleep 0.1; done
    # An API server with open watches takes up to a minute to say goodbye; nobody here waits for that.
    ! ours "$pid" || kill -9 "$pid" 2> /dev/null || true
    for _ in $(seq 50); do ours "$pid" || break; sleep 0.1; done
  fi
  rm -f "$RUN/$1.pid"
}

down() {
  [ -d "$RUN" ] || return 0
  local name
  release_node
  # The state is deleted in a moment: nothing to flush.
  for name in controller-manager apiserver etcd; do stop $name 2; done
  rm -rf "$RUN"
}

case ${1:-} in
  up)
    [ -e "$RUN/apiserver.pid" ] && { echo "already up: $RUN"; exit 0; }
    mkdir -p "$RUN"/{pki,log,cni}; cd "$RUN"
    if [ "${2:-}" = --node ]; then
      ADDRESS=$NODE_IP
      claim_node
      ip address replace "$NODE_IP/32" dev lo
    fi
    for setting in BIN ADDRESS PORT ETCD_PORT PEER_PORT API_ARGS ETCD_ARGS; do printf '%s=%q\n' "$setting" "${!setting}"; done > settings
    identities; control_plane; [ "${2:-}" != --node ] || node
    echo "KUBECONFIG=$KUBECONFIG" ;;
  down) down ;;
  env) echo "export KUBECONFIG=$KUBECONFIG PATH=$BIN:\$PATH" ;;
  user) shift; cd "$RUN"; user "$@" ;;
  apiserver)
    cd "$RUN"
    case ${2:-} in stop) stop apiserver 20 ;; start) shift 2; API_ARGS="$API_ARGS $*" apiserver; restart_controllers ;; *) echo "apiserver stop|start" >&2; exit 2 ;; esac ;;
  reboot) cd "$RUN"; reboot ;;
  image) shift; image "$@" ;;
  import) ctr --address "$SOCKET" --namespace k8s.io images import "$2" > /dev/null ;;
  tag) ctr --address "$SOCKET" --namespace k8s.io images tag --force "$2" "$3" > /dev/null ;;
  *) sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
