# First process of a holder: stands for the process that owns fleets, and removes what it leaves behind.
#
# $1 is the owner. Whoever is attached for it writes lines: `alive` from time to time, `over` when the
# connection ended, `done` when the owner has removed everything itself. Without the engine's socket
# nothing can be removed here: then the end of this container is what tells others that the owner is gone.
owner=$1
lines=/run/kindmesh-lines
socket=/run/kindmesh-engine.sock
# For an owner that never attaches, one that is silent, one whose connection may come back; in seconds.
arrival=60 silence=3600 grace=5

mkfifo "$lines" && exec 3<>"$lines" || exit 1
hear() { read -r -t "$1" word <&3 || word=silence; }

hear $arrival
while [ "$word" = alive ] || [ "$word" = over ]; do
  if [ "$word" = over ]; then
    hear $grace
    [ "$word" = alive ] || break
  fi
  hear $silence
done

[ -S "$socket" ] || exit 0
call() { curl --silent --show-error --fail --max-time 120 --unix-socket "$socket" "$@"; }
# Prints the IDs of what has the owner's label, names of volumes, this container left out.
owned() {
  local answer
  answer=$(call --get --data-urlencode "filters={\"label\":[\"dev.kindmesh.owner=$owner\"]}" "http://engine/$1") || return 1
  grep -oE '"Id":"[0-9a-f]{64}"|"Name":"kindmesh-(lock|pool)-[^"]*"' <<<"$answer" | cut -d'"' -f4 | grep -v "^$HOSTNAME"
  return 0
}
# What the engine was asked for in the last moment may still appear: only several looks in a row that find
# nothing are the end.
looks=3
[ "$word" = done ] && looks=1
for ((round = 0, quiet = 0; round < 300 && quiet < looks; round++)); do
  [ $round -gt 0 ] && sleep 1
  containers=$(owned 'containers/json?all=1') && networks=$(owned networks) && volumes=$(owned volumes) || continue
  quiet=$((quiet + 1))
  for id in $containers; do
    quiet=0
    call --request DELETE "http://engine/containers/$id?force=1&v=1" &
  done
  wait
  for id in $networks; do
    quiet=0
    call --request DELETE "http://engine/networks/$id"
  done
  # What is noted for a container that could not be removed yet stays with it.
  [ -z "$containers" ] || continue
  for id in $volumes; do
    quiet=0
    call --request DELETE "http://engine/volumes/$id"
  done
done
