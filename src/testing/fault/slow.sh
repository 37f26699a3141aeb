# Delays what a node sends.
#
# add MILLISECONDS
# remove
device=$(ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
device=${device:-eth0}
case $1 in
  add)
    # Room for what is under way meanwhile; the default would drop it.
    said=$(tc qdisc add dev "$device" root netem delay "$2ms" limit 100000 2>&1) && exit 0
    case $said in
      *"qdisc kind is unknown"* | *"No such file or directory"* | *"not supported"* | *"not found"*)
        echo "the kernel has no netem (module sch_netem): $said" >&2
        ;;
      *) echo "$said" >&2 ;;
    esac
    exit 1
    ;;
  remove)
    tc qdisc show dev "$device" 2>/dev/null | grep -q netem || exit 0
    tc qdisc del dev "$device" root
    ;;
esac
