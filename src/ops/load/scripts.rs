//! Shell scripts that run in nodes. They use what kind's node images have: ctr, a POSIX shell, find and GNU's core utilities.

/// containerd's namespace for Kubernetes.
pub(super) const NAMESPACE: &str = "k8s.io";

/// Tells machine, snapshotter, missing tools, packed layers and unpacked ones, a line for each.
pub(super) const SURVEY: &str = r#"
ctr="ctr --namespace k8s.io"
echo "machine $(uname -m)"
for tool in find mknod mv; do command -v "$tool" >/dev/null || echo "lacks $tool"; done
snapshotter=$(containerd config dump 2>/dev/null | sed -n "s/^ *snapshotter = [\"']\(..*\)[\"'] *\$/\1/p" | head -n 1)
echo "snapshotter ${snapshotter:=overlayfs}"
$ctr content ls -q | while read -r digest; do echo "content $digest"; done
$ctr snapshots --snapshotter "$snapshotter" ls | while read -r key rest; do
  case $key in sha256:*) echo "snapshot $key" ;; esac
done
"#;

/// Imports an OCI layout from standard input, as containerd does it. `$1` is the snapshotter.
pub(super) const IMPORT: &str = r#"exec ctr --namespace k8s.io images import --snapshotter "$1" -"#;

/// Makes the folders that layers are unpacked into. `$1` is the one they are in, the others are theirs.
pub(super) const PREPARE: &str = r#"
umask 022
into=$1
shift
mkdir "$into"
for one do mkdir "$into/$one"; done
"#;

/// Makes an image of layers that the engine has unpacked. `$1` is the snapshotter, `$2` the folder with the layers'
/// folders, beside the snapshotter's own, `$3` a prefix for its keys.
///
/// Standard input is a list of orders: `layer NAME` for each that is whole; then, lowest first, `stack STACK BELOW
/// LAYER`, `folder PATH` for each folder that the layer implies, `commit`; at the end `import`, and an OCI layout
/// without layers. A layer's folder becomes the content of a snapshot by being renamed. Implied folders get the
/// attributes that they have below. What overlayfs needs said another way than archives say it: a file `.wh.x` is a
/// whiteout of `x`. An opaque folder (exit code 3) takes an extended attribute, which no tool of a node can set;
/// containerd does that then.
///
/// ctr marks its snapshots as roots for the garbage collection; once the image refers to them, that is over.
pub(super) const STACK: &str = r#"
set -eu
ctr="ctr --namespace k8s.io"
snap="$ctr snapshots --snapshotter $1"
roots= whole=
while read -r order rest; do
  case $order in
    layer)
      find "$2/$rest" -name '.wh.*' -exec sh -c '
        for file do
          name=${file##*/.wh.}
          case $name in .wh.*) exit 3 ;; esac
          rm -f "$file" && mknod "${file%/*}/$name" c 0 0 || exit 1
        done' sh {} + || exit 3
      ;;
    stack)
      stack=${rest%% *} three=${rest##* } two=${rest#* }
      two=${two% *}
      [ "$two" = - ] && two=
      key=$3-$stack
      mount=$($snap prepare --target /mnt "$key" $two)
      case $mount in
        *upperdir=*) path=${mount#*upperdir=}; path=${path%%,*}; lower=${mount#*lowerdir=}; lower=${lower%%[, ]*} ;;
        *"-t bind "*) path=${mount#*-t bind }; path=${path%% *}; lower= ;;
        *) echo "unknown mount: $mount" >&2; exit 1 ;;
      esac
      path=${path%% *}
      rmdir "$path"
      mv "$2/$three" "$path"
      ;;
    folder)
      chmod 755 "$path/$rest"
      IFS=:
      for below in $lower; do
        if [ -e "$below/$rest" ] || [ -L "$below/$rest" ]; then
          if [ -d "$below/$rest" ] && [ ! -L "$below/$rest" ]; then
            for copy in chown chmod touch; do "$copy" --reference="$below/$rest" "$path/$rest"; done
          fi
          break
        fi
      done
      unset IFS
      ;;
    commit)
      $snap commit "$stack" "$key"
      roots="$roots $stack"
      ;;
    import) whole=yes; break ;;
  esac
done
[ -n "$whole" ] || { echo "the archive ended early" >&2; exit 1; }
$ctr images import --snapshotter "$1" -
for stack in $roots; do $snap label "$stack" containerd.io/gc.root= >/dev/null & done
wait
rm -rf "$2"
"#;

/// Removes what an interrupted [`STACK`] left; same arguments. An engine that is told of the end at the same time may
/// still put a file there.
pub(super) const CLEAN: &str = r#"
snap="ctr --namespace k8s.io snapshots --snapshotter $1"
rm -rf "$2" || rm -rf "$2"
$snap ls | while read -r key rest; do
  case $key in "$3"-*) $snap rm "$key" ;; esac
done
"#;
