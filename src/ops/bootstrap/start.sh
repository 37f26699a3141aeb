# Starts the programs of the first control plane, waits for nothing, and hands over what its maker needs.
#   start.sh NODE ADDRESS POD-CIDR CONFIGURATION TEXT SKIPPED-PHASES STARTED-MARK SEEDED-MARK LOCK HELD MANIFESTS SERVING OWN RUNTIME
# On its input come the keys of the node's programs, which nobody may read from a command line, in the form that it hands over
# what it tells. POD-CIDR is what the node will be given, empty where that is not known. TEXT is what kubeadm's CONFIGURATION says: an
# argument comes whole or not at all. HELD is a folder for the MANIFESTS of programs that are started later, SERVING
# one for what they serve with, OWN one for what the kubelet does. RUNTIME is a name by which containerd finds its runtime first.
set -e
node=$1 address=$2 pod_cidr=$3 config=$4 text=$5 skip=$6 started=$7 seeded=$8 lock=$9 held=${10} manifests=${11} serving=${12}
own=${13} runtime=${14}

keys=$(cat)
case $keys in
  *"#kindmesh end") ;;
  *) echo "the keys of the node's programs came only in part" >&2; exit 75 ;;
esac

# pem PROGRAM LABEL: the block of that label among what came for a program.
pem() {
  printf '%s\n' "$keys" | sed -n "/^#kindmesh $1\$/,/^#kindmesh /p" | sed -n "/^-----BEGIN $2-----/,/^-----END $2-----/p"
}

# Each program would make itself a key when it finds none, the kubelet before anything else, and takes its time for it. A key
# without its certificate, of a start that was interrupted, would end it.
certify() (
  umask 077
  mkdir -p "$own"
  pem kubelet "PRIVATE KEY" >"$own/key.part"
  pem kubelet CERTIFICATE >"$own/crt.part"
  chmod 0644 "$own/crt.part"
  mv -f "$own/key.part" "$own/kubelet.key" && mv -f "$own/crt.part" "$own/kubelet.crt"
  mkdir -p "$serving"
  for program in controller-manager scheduler; do
    { pem $program CERTIFICATE && pem $program "PRIVATE KEY"; } >"$serving/$program.pem"
  done
)

# In a process of its own, for its permissions are no others'.
configure() (
  umask 077
  mkdir -p "${config%/*}"
  printf '%s' "$text" >"$config.part"
  mv -f "$config.part" "$config"
)

start() {
  kubeadm=$(command -v kubeadm) || { echo "there is no kubeadm in the image" >&2; exit 127; }
  configure

  # The pods of a node need not wait for the network's daemon when it is known what that will write.
  if [ -n "$pod_cidr" ] && command -v kindmesh-cni >/dev/null && ! ls /etc/cni/net.d/* >/dev/null 2>&1; then
    mkdir -p /etc/cni/net.d
    kindmesh-cni configure "$pod_cidr" "$address"
  fi

  # What every API server writes into an empty database is in the image. Data that is there already is of a run that was
  # interrupted: it has no less.
  if [ -e /kind/seed/seed.db ] && ! [ -e /var/lib/etcd/member ]; then
    etcd-seed restore --from /kind/seed --to /var/lib/etcd --name "$node" --peer "https://$address:2380"
    touch "$seeded"
  fi

  # A small runtime starts pods with less than one that brings Go's along; containerd looks for it by its usual name each time, where
  # images have a link. With control groups of version 2 it would ask systemd, which Debian's crun may fail at, as is known.
  if command -v crun >/dev/null && [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
    if [ -L "$runtime" ] || ! [ -e "$runtime" ]; then ln -sf "$(command -v crun)" "$runtime" || true; fi
  fi
  certify

  # Where kubeadm finds no systemctl it writes everything and leaves the kubelet to us: it would have systemd read all
  # units again, and start the kubelet before the manifests below are out of the way.
  PATH=/kind/none "$kubeadm" init --config="$config" --skip-phases="$skip" --skip-token-print --v=1

  # A scheduler would be refused until the API server has made its roles, and then try ever more rarely. A controller
  # manager looks only each second whether the server is ready; with a seed that is so soon after it answers that one
  # started a little later finds it ready at its first look.
  mkdir -p "$held"
  for program in scheduler controller-manager; do
    manifest=$manifests/kube-$program.yaml
    if [ -e "$manifest" ] && { [ $program = scheduler ] || [ -e "$seeded" ]; }; then
      mv "$manifest" "$held/"
    fi
  done
  systemctl restart --no-block kubelet
  touch "$started"
}

# section NAME COMMAND...: what a command prints, behind a line that names it.
section() {
  echo "#kindmesh $1"
  shift
  "$@"
  echo
}

# Add-ons as kubeadm would install them, of the versions that belong to this Kubernetes.
addons() {
  kubeadm init phase addon coredns --print-manifest --config="$config"
  echo ---
  kubeadm init phase addon kube-proxy --print-manifest --config="$config"
}

# One that was left by a process that was killed goes on in the node: a second one beside it would spoil both. What the
# first did is done.
exec 9>"$lock"
flock 9
if ! [ -e "$started" ]; then start; fi
flock --unlock 9

if [ -e "$seeded" ]; then
  echo "#kindmesh seeded"
fi
# Last what is secret: nothing of it stands at the end of what is told when something before it fails.
section addons addons
section network cat /kind/manifests/default-cni.yaml
section storage cat /kind/manifests/default-storage.yaml
section super-admin cat /etc/kubernetes/super-admin.conf
section admin cat /etc/kubernetes/admin.conf
echo "#kindmesh end"
