# shellcheck shell=bash disable=SC2154
# What an engine leaves behind, above all after a hard kill, and what would hinder the next one. Source it after
# lib.sh; `run`, `exec_root`, `pid_file` and `socket` are set by the caller.


# Called only while no engine of ours runs.
clean_leftovers() {
  thaw
  reap_shims
  detach_mounts
  # A daemon refuses to start beside a pid file whose number lives again, and waits for sockets nobody serves.
  rm -f "$run/owner" "$pid_file"
  [ ! -S "$socket" ] || [ -n "$(engine_version "$socket")" ] || rm -f "$socket"
  rm -rf --one-file-system "${exec_root:?}"
  # An engine believes that a system-wide containerd runs as soon as its socket is there.
  if [ -S /run/containerd/containerd.sock ] && ! runs_in mnt containerd; then rm -f /run/containerd/containerd.sock; fi
  # Bridges and chains carry no owner: they are touched only when no engine at all is left that could use them.
  if ! runs_in net dockerd; then
    drop_bridges
    drop_chains iptables
    drop_chains ip6tables
  fi
}

# With control groups of version 1 what is frozen does not end, not even by SIGKILL, and shims wait for it.
thaw() {
  local state
  # What an engine that lives has paused stays so.
  ! pgrep -x dockerd >/dev/null || return 0
  find /sys/fs/cgroup/freezer/docker -name freezer.state 2>/dev/null | while read -r state; do
    [ "$(cat "$state" 2>/dev/null)" = THAWED ] || echo THAWED 2>/dev/null >"$state" || true
  done || true
}

# runs_in KIND NAME: whether a process of that name shares our namespace of that kind (net, mnt).
runs_in() {
  local pid here
  here=$(readlink "/proc/self/ns/$1")
  for pid in $(pgrep -x "$2" || true); do
    [ "$(readlink "/proc/$pid/ns/$1" 2>/dev/null)" != "$here" ] || return 0
  done
  return 1
}

# Shims (and the containers under them), and a containerd, that outlived their engine: each names our folder on its
# command line.
reap_shims() {
  local proc pid
  for proc in /proc/[0-9]*; do
    pid=${proc#/proc/}
    [ "$pid" != $$ ] || continue
    arguments "$pid" | grep -qxF -e "$exec_root/containerd/containerd.sock" -e "$exec_root/containerd/containerd.toml" || continue
    log "ending a leftover of an engine: pid $pid ($(cat "$proc/comm" 2>/dev/null))"
    pkill -KILL -P "$pid" || true
    kill -KILL "$pid" 2>/dev/null || true
    wait_for 5 "end of pid $pid" gone "$pid" || true
  done
}

# Layers and namespaces still mounted in this mount namespace; the other engine's went with its own namespace.
detach_mounts() {
  local folders=("$exec_root/") data=${KINDMESH_ENGINE_DATA:-/var/lib/docker} mounts
  # Only what an engine mounts for its containers: a user's own disk may lie below its data too.
  held "$data" || folders+=("$data/overlay2/" "$data/containers/")
  mapfile -t mounts < <(awk '{print $5}' /proc/self/mountinfo | sort -r | under "${folders[@]}")
  [ ${#mounts[@]} -eq 0 ] || umount -l "${mounts[@]}" || true
}

# Lines that begin with one of these folders.
under() { awk 'BEGIN {for (i = 1; i < ARGC; i++) folder[i] = ARGV[i]; ARGC = 1} {for (i in folder) if (index($0, folder[i]) == 1) {print; next}}' "$@"; }

# Whether an engine that somebody else started has its data in that folder: it keeps databases open there.
held() {
  local pid
  for pid in $(pgrep -x dockerd || true); do
    [ -z "$(find "/proc/$pid/fd" -lname "$1/*" -print -quit 2>/dev/null)" ] || return 0
  done
  return 1
}

drop_bridges() {
  local link
  for link in $(ip -o link show type bridge 2>/dev/null | awk -F': ' '{print $2}' | grep -E '^(docker0|docker_gwbridge|br-[0-9a-f]{12})$' || true); do
    ip link delete "$link" || true
  done
}

# Rules that name an engine's chain or bridge, then the chains themselves. Everything else stays as it is.
drop_chains() {
  local tool=$1 table chain
  command -v "$tool" >/dev/null || return 0
  for table in nat filter raw mangle; do
    { "$tool" -w -t "$table" -S 2>/dev/null || true; } |
      grep -E '^-A (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) .*(-j DOCKER|docker0|br-[0-9a-f]{12})' | grep -v DOCKER-USER |
      sed 's/^-A/-D/' | xargs -r -L1 "$tool" -w -t "$table" || true
    for chain in $({ "$tool" -w -t "$table" -S 2>/dev/null || true; } | awk '$1 == "-N" && $2 ~ /^DOCKER/ && $2 != "DOCKER-USER" {print $2}'); do
      "$tool" -w -t "$table" -F "$chain" || true
    done
    for chain in $({ "$tool" -w -t "$table" -S 2>/dev/null || true; } | awk '$1 == "-N" && $2 ~ /^DOCKER/ && $2 != "DOCKER-USER" {print $2}'); do
      "$tool" -w -t "$table" -X "$chain" || true
    done
  done
}
