# shellcheck shell=bash disable=SC2154
# The virtual machine of scripts/test-vm: its disks, its certificates, its start and its end. Source it after lib.sh;
# `work`, `logs`, `kindmesh`, `address`, `port`, `api_port` and `memory` are set by the caller.

machines=$cache/vm
machine_pid=

# === disks ===

# Debian 12 with its kernel and its engine, both as they are; the disk is never written to afterwards.
root_disk() {
  [ ! -e "$root_files/.complete" ] || return 0
  local root=$work/root mirror
  mirror=$(debian_mirror)
  log "making a machine's root from Debian's packages"
  retry 3 machine_root "$root" "$mirror" || { tail -n 20 "$logs/root.log" >&2; fail "cannot make a Debian root" "see $logs/root.log"; }
  configure_root "$root"
  rm -rf --one-file-system "$machines"/root-*
  mkdir -p "$root_files"
  cp "$root"/boot/vmlinuz-* "$root_files/kernel"
  cp "$root"/boot/initrd.img-* "$root_files/initrd"
  make_disk "$root_files/disk" 2G "$root"
  rm -rf --one-file-system "$root"
  touch "$root_files/.complete"
}

machine_root() {
  rm -rf --one-file-system "$1"
  nice -n 19 mmdebstrap --quiet --variant=minbase --format=directory \
    --include=systemd-sysv,udev,kmod,initramfs-tools,linux-image-cloud-amd64,docker.io,apparmor,iptables,ca-certificates,curl,jq,iproute2,iputils-ping,procps \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' bookworm "$1" "$2" >"$logs/root.log" 2>&1 </dev/null
}

# What a machine gets from an installer; and the engine listens with TLS, too.
configure_root() {
  local root=$1 units=$1/etc/systemd/system keys=/payload/certificates/server
  echo kindmesh-vm >"$root/etc/hostname"
  echo '127.0.0.1 localhost kindmesh-vm' >"$root/etc/hosts"
  # Without one, systemd takes the start for the first and asks for services that are not wanted.
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  printf '%s\n' '/dev/vda / ext4 defaults 0 0' '/dev/vdb /var/lib/docker ext4 defaults 0 0' '/dev/vdc /payload ext4 ro 0 0' >"$root/etc/fstab"
  mkdir -p "$root/payload" "$root/var/lib/docker"
  echo 'fs.inotify.max_user_instances = 1024' >"$root/etc/sysctl.d/inotify.conf"
  echo "DOCKER_OPTS=\"-H tcp://0.0.0.0:2376 --tlsverify --tlscacert $keys/ca.pem --tlscert $keys/cert.pem --tlskey $keys/key.pem\"" >"$root/etc/default/docker"
  cat >"$units/network.service" <<'END'
[Unit]
Wants=sys-subsystem-net-devices-eth0.device
After=sys-subsystem-net-devices-eth0.device
Before=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip link set eth0 up
ExecStart=ip address add 10.0.2.15/24 dev eth0
ExecStart=ip route add default via 10.0.2.2
[Install]
WantedBy=multi-user.target
END
  # The second serial port is for what the tests tell, the first for everybody else.
  cat >"$units/test-vm.service" <<'END'
[Unit]
After=docker.service
Wants=docker.service
[Service]
Environment=HOME=/root
ExecStartPre=stty -F /dev/ttyS1 raw
ExecStart=/bin/sh -c 'exec /payload/scripts/test-vm-guest >/dev/ttyS1 2>&1'
[Install]
WantedBy=multi-user.target
END
  systemctl --quiet --root "$root" enable network.service test-vm.service
  systemctl --quiet --root "$root" mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer getty@tty1.service serial-getty@ttyS0.service
}

# make_disk FILE SIZE FOLDER: a file system with the folder's files; what is not used takes no room.
make_disk() {
  rm -f "$1" "$1.new"
  truncate -s "$2" "$1.new"
  nice -n 19 mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$3" "$1.new"
  mv "$1.new" "$1"
}

# The engine's data with the node image in it: loading it in the machine would take longer than all the rest.
image_disk() {
  local image id
  image=$(image_of "$(kubernetes_default)")
  "$repo/scripts/node-image" --if-missing
  id=$(engine_get "$(engine_socket)" "/images/$image/json" | jq -r '.Id | sub("sha256:"; "") | .[:16]')
  images=$machines/images-$id
  [ ! -e "$images" ] || return 0
  rm -f "$machines"/images-*
  mkdir -p "$machines"
  log "putting $image on a disk"
  loader start 20
  curl -fsS --max-time 1800 --unix-socket "$(engine_socket)" "http://engine/images/$image/get" |
    curl -fsS --max-time 1800 --unix-socket "$work/loader.sock" -X POST -H 'Content-Type: application/x-tar' -T - 'http://engine/images/load?quiet=1' |
    jq -r '.stream // .error // empty' >&2
  engine_get "$work/loader.sock" "/images/$image/json" >/dev/null || fail "the image was not loaded"
  stop_loader
  # What it knows of this machine's network would mislead the other.
  rm -rf --one-file-system "$work/data/network"
  make_disk "$images" 10G "$work/data"
  rm -rf --one-file-system "$work/data"
}

# An engine beside the one that answers, in a network of its own.
loader() {
  KINDMESH_ENGINE_SOCKET=$work/loader.sock KINDMESH_ENGINE_RUN=$work/loader KINDMESH_ENGINE_DATA=$work/data \
    nice -n 19 unshare -n -- "$repo/scripts/engine" "$@"
}

stop_loader() { [ ! -e "$work/loader/owner" ] || loader stop; }

# payload_disk YES: what is tried, and what tries it; with nothing in place of YES, the machine only starts its engine.
payload_disk() {
  local payload=$work/payload
  mkdir -p "$payload/scripts"
  cp "$kindmesh" "$payload/kindmesh"
  cp "$repo/scripts/lib.sh" "$repo/scripts/test-vm-guest" "$payload/scripts/"
  cp -r "$work/certificates" "$payload/certificates"
  [ -z "$1" ] || touch "$payload/inside"
  make_disk "$work/payload.disk" 256M "$payload"
}

# === certificates ===

# certificates FOLDER: an authority, and certificates by it for the engine and for who uses it.
certificates() {
  local folder=$1
  mkdir -p "$folder/server" "$folder/client"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 7 -subj "/CN=kindmesh test" \
    -keyout "$folder/authority.key" -out "$folder/ca.pem" 2>/dev/null
  certificate "$folder" server "subjectAltName=IP:$address" serverAuth
  certificate "$folder" client "subjectAltName=DNS:client" clientAuth
}

certificate() {
  local into=$1/$2
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$into/key.pem" -out "$into/request" 2>/dev/null
  openssl x509 -req -in "$into/request" -CA "$1/ca.pem" -CAkey "$1/authority.key" -CAcreateserial -days 7 -out "$into/cert.pem" \
    -extfile <(printf '%s\nextendedKeyUsage=%s\n' "$3" "$4") 2>/dev/null
  cp "$1/ca.pem" "$into/ca.pem"
  rm "$into/request"
}

# === start and end ===

# What is written goes into files that end with the machine. Nothing outside can be reached: `restrict`.
boot() {
  log "starting a virtual machine (emulated, $memory MiB; console: $logs/console.log)"
  : >"$logs/console.log"
  : >"$logs/guest.log"
  local disk=if=virtio,format=raw,cache=unsafe,snapshot=on,file options
  # Guards against flaws of real processors, and tables of a fifth level, cost an emulated one most of its time.
  options="root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=-1 quiet systemd.journald.forward_to_console=1 mitigations=off no5lvl"
  TMPDIR=$work nice -n 19 qemu-system-x86_64 -accel tcg,thread=multi,tb-size=1024 -cpu max -smp 2 -m "$memory" -nodefaults -display none -no-reboot \
    -kernel "$root_files/kernel" -initrd "$root_files/initrd" -append "$options" \
    -drive "$disk=$root_files/disk" -drive "$disk=$images" -drive "$disk=$work/payload.disk" \
    -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:$address:$port-:2376,hostfwd=tcp:$address:$api_port-:$api_port" \
    -device virtio-rng-pci -serial "file:$logs/console.log" -serial "file:$logs/guest.log" </dev/null >"$logs/qemu.log" 2>&1 &
  machine_pid=$!
  wait_for 600 "the first word of the machine" machine_speaks || true
  machine_runs || fail "the machine ended: $(tail -n 5 "$logs/qemu.log")" "see $logs/console.log"
  [ -s "$logs/guest.log" ] || fail "the machine does not start; its console ends with: $(tail -n 1 "$logs/console.log")" "see $logs/console.log"
}

machine_runs() { [ -n "$machine_pid" ] && kill -0 "$machine_pid" 2>/dev/null; }
machine_speaks() { [ -s "$logs/guest.log" ] || ! machine_runs; }

# Its disks are thrown away, so it need not end by itself.
stop_machine() {
  machine_runs || return 0
  kill -KILL "$machine_pid"
  wait "$machine_pid" 2>/dev/null || true
}

# Another one when what makes it changes.
root_files=$machines/root-$(declare -f machine_root configure_root make_disk | sha256sum | cut -c1-16)
