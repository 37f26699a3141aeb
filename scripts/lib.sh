# shellcheck shell=bash disable=SC2034
# What the scripts here share: messages, packages, folders, questions to an engine. Source it.

set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repo

# Everything that is made once and kept (engines, tools, node images) lies here; deleting it is always safe
# while no engine of ours runs.
cache=${KINDMESH_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kindmesh}
readonly cache

log() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }

# fail WHAT [WHAT TO DO NEXT]
fail() {
  printf 'error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" = 0 ] || fail "$1 needs root" "run it as root, or start an engine yourself and set DOCKER_HOST"
}

# retry TIMES COMMAND...: for commands that fail for reasons that pass (a mirror in the middle of an update).
retry() {
  local times=$1 try
  shift
  for ((try = 1; ; try++)); do
    "$@" && return 0
    [ "$try" -lt "$times" ] || return 1
    log "failed (try $try of $times): $*"
    sleep $((try * 2))
  done
}

# wait_for SECONDS WHAT COMMAND...: runs the command until it succeeds; fails with WHAT at the deadline.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || {
      log "gave up waiting: $what"
      return 1
    }
    sleep 0.2
  done
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# apt_install PACKAGE...: installs what is missing, and starts none of it as a service: where systemd runs, some
# packages would, and Debian's way to keep them from it is the file below. In a subshell, so that its trap is its own.
apt_install() (
  local package missing=() policy=/usr/sbin/policy-rc.d
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  need_root "installing ${missing[*]}"
  log "installing ${missing[*]}"
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  local install=(env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "${missing[@]}")
  local output=$cache/apt.log
  mkdir -p "$cache"
  if [ ! -e "$policy" ]; then
    # shellcheck disable=SC2064 # the name as it is now
    trap "rm -f '$policy'" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  "${install[@]}" >"$output" 2>&1 </dev/null && return 0
  retry 3 "${apt[@]}" update >"$output" 2>&1 || { cat "$output" >&2; fail "cannot fetch the package lists" "check the apt sources"; }
  retry 2 "${install[@]}" >"$output" 2>&1 </dev/null || { cat "$output" >&2; fail "cannot install ${missing[*]}"; }
)

# The mirror that apt itself is configured with: other suites are fetched from there too. apt knows it from the lists
# it has downloaded.
debian_mirror() {
  local uri
  uri=$(known_mirror)
  if [ -z "$uri" ]; then
    retry 3 apt-get -qq update >&2
    uri=$(known_mirror)
  fi
  [ -n "$uri" ] || fail "apt knows no Debian mirror" "add one to /etc/apt/sources.list.d"
  printf '%s\n' "$uri"
}

# shellcheck disable=SC2016 # apt's own placeholder
known_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1
}

# engine_get SOCKET PATH: a GET to the engine behind a socket; the body on stdout.
engine_get() { curl -fsS --max-time 10 --unix-socket "$1" "http://engine$2" 2>/dev/null; }

# engine_version SOCKET: the product's version, or nothing when none answers.
engine_version() { engine_get "$1" /version | jq -r .Version 2>/dev/null || true; }

# Where the engine listens, as a path: the scripts speak to it through a unix socket only.
engine_socket() {
  case ${DOCKER_HOST:-} in
    unix://*) printf '%s\n' "${DOCKER_HOST#unix://}" ;;
    *) printf '%s\n' "${KINDMESH_ENGINE_SOCKET:-/var/run/docker.sock}" ;;
  esac
}

# === node images: the recipe is the only place that knows names and versions ===

recipe() { jq -er "$1" "$repo/node-images/recipe.json"; }
kubernetes_default() { recipe .kubernetes.default; }
image_of() { recipe ".reference | sub(\"[{]kubernetes[}]\"; \"$1\")"; }
has_image() { engine_get "$(engine_socket)" "/images/$1/json" >/dev/null; }
# The folder of kube-apiserver, etcd and kubectl that came out of the image's build.
binaries_of() { printf '%s\n' "$cache/node-image/bin/v${1#v}"; }

# The binary, wherever cargo was told to put it.
target_dir() { printf '%s\n' "${CARGO_TARGET_DIR:-$repo/target}"; }
