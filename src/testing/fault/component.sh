# Stops and starts the programs that make a node one of a cluster.
#
# stop pod NAME       a program that the kubelet starts from a manifest
# stop unit NAME      one that systemd starts
# start pod|unit NAME
# start-all           whatever was stopped here
manifests=/etc/kubernetes/manifests
aside=/etc/kubernetes/kindmesh-stopped

# wait WHAT CONDITION...: for a minute and a half; the kubelet gives programs half a minute to end.
wait_until() {
  local what=$1
  shift
  for ((look = 0; look < 900; look++)); do
    "$@" && return 0
    sleep 0.1
  done
  echo "$what" >&2
  return 1
}
runs() { pidof "$1" >/dev/null; }
ended() { ! runs "$1"; }

stop_pod() {
  [ -e "$manifests/$1.yaml" ] || [ -e "$aside/$1.yaml" ] || { echo "$1 does not run in this node" >&2; return 1; }
  mkdir -p "$aside" || return 1
  [ ! -e "$manifests/$1.yaml" ] || mv "$manifests/$1.yaml" "$aside/" || return 1
  wait_until "$1 does not end" ended "$1"
}
# An API server without its database lets every request wait for half a minute and longer, and the kubelet waits with it
# before it starts a pod again. One that is ended refuses, and comes back by itself.
unblock() { [ "$1" != etcd ] || pkill -KILL -x kube-apiserver || true; }
start_pod() {
  [ ! -e "$aside/$1.yaml" ] || mv "$aside/$1.yaml" "$manifests/" || return 1
  # A kubelet that still ends the former pod of this name, and cannot tell the API server so, may wait for long; one that
  # begins anew only sees what is to run.
  for ((look = 0; look < 300; look++)); do
    ! runs "$1" || return 0
    ((look % 100)) || unblock "$1"
    sleep 0.1
  done
  systemctl restart kubelet
  wait_until "$1 does not start" runs "$1"
}
stop_unit() { systemctl stop "$1"; }
start_unit() { systemctl start "$1"; }
start_all() {
  systemctl is-active --quiet containerd || systemctl start containerd || return 1
  systemctl is-active --quiet kubelet || systemctl start kubelet || return 1
  local manifest
  for manifest in "$aside"/*.yaml; do
    [ -e "$manifest" ] || continue
    mv "$manifest" "$manifests/" || return 1
    unblock "$(basename "$manifest" .yaml)"
  done
}

case $1 in
  start-all) start_all ;;
  *) "$1_$2" "$3" ;;
esac
