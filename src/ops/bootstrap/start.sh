# Starts the programs of the first control plane, and waits for nothing.
#   start.sh NODE ADDRESS POD-CIDR KUBEADM-CONFIGURATION SKIPPED-PHASES STARTED-MARK SEEDED-MARK LOCK
# POD-CIDR is what the node will be given, empty where that is not known.
set -e
node=$1 address=$2 pod_cidr=$3 config=$4 skip=$5 started=$6 seeded=$7 lock=$8

# One that was left by a process that was killed goes on in the node: a second one beside it would spoil both. What the
# first did is done.
exec 9>"$lock"
flock 9
if [ -e "$started" ]; then
  if [ -e "$seeded" ]; then
    echo "$seeded"
  fi
  exit 0
fi

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

# A controller manager looks only each second whether the server is ready. With a seed that is so soon after it answers
# that one started a little later finds it ready at its first look.
if [ -e "$seeded" ]; then
  skip=$skip,control-plane/controller-manager
fi
kubeadm init --config="$config" --skip-phases="$skip" --skip-token-print --v=1
touch "$started"
if [ -e "$seeded" ]; then
  echo "$seeded"
fi
