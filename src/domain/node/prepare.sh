# Does what a privileged container would find done; each step is repeated at every start and
# leaves alone what is right already. What fails here is told by the image's entrypoint or systemd.
writable() { mount -o remount,bind,rw "$1" || mount -o remount,rw "$1"; } 2>/dev/null
writable /sys
for dir in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$dir"; then writable "$dir"; fi
done
if [ ! -e /dev/kmsg ]; then mknod -m 0600 /dev/kmsg c 1 11; fi
# Pods with a negative score would not start: lowering it takes a capability that the host lacks.
config=/etc/containerd/config.toml
if grep -q '^ *restrict_oom_score_adj' "$config"; then
  sed -i 's/^\( *restrict_oom_score_adj\) *=.*/\1 = true/' "$config"
else
  sed -i 's/^ *\[plugins\.["'\'']io\.containerd\.\(grpc\.v1\.cri\|cri\.v1\.runtime\)["'\'']\]$/&\nrestrict_oom_score_adj = true/' "$config"
fi
# The kubelet is told to manage cgroups itself on version 1; both must agree.
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
  sed -i 's/\(SystemdCgroup *= *\)true/\1false/' "$config"
fi
exec "$@"
