# Drops what comes from some addresses, by a chain of its own in front of everything else.
#
# add CHAIN [+ADDRESS | -ADDRESS]...   lets pass, or drops, what comes from an address or subnet
# remove CHAIN                         takes the chain away; a prefix ending in * means all of that name
# Set by its caller: verb and chain, then the addresses.
verb=$1 chain=$2
shift 2

# Both families, where the kernel has both.
families=iptables
[ -e /proc/net/if_inet6 ] && families="iptables ip6tables"

add() {
  local tables source target
  for tables in $families; do
    $tables -w 10 -N "$chain" || return 1
    for source in "$@"; do
      case $source in +*) target=RETURN ;; *) target=DROP ;; esac
      case $tables:${source#?} in iptables:*:* | ip6tables:*.*) continue ;; esac
      $tables -w 10 -A "$chain" -s "${source#?}" -j $target || return 1
    done
    $tables -w 10 -I INPUT -j "$chain" && $tables -w 10 -I FORWARD -j "$chain" || return 1
  done
}

remove() {
  local tables name hook
  for tables in $families; do
    for name in $($tables -w 10 -S | sed -n 's/^-N //p'); do
      # The pattern is meant: it may be a prefix with an asterisk.
      # shellcheck disable=SC2254
      case $name in $chain) ;; *) continue ;; esac
      for hook in INPUT FORWARD; do
        while $tables -w 10 -D "$hook" -j "$name" 2>/dev/null; do :; done
      done
      $tables -w 10 -F "$name" && $tables -w 10 -X "$name" || return 1
    done
  done
}

"$verb" "$@"
