# Runs one test of the suite in root directory $1 with program $2 as `runc`: test $4 of file $3, at
# most $5 seconds long, with the cgroups of systemd if $6 says so. It has mounts and processes of its
# own, which go with it.
set -eu
root=$1 program=$2 file=$3 name=$4 limit=$5
if [ "${6:-}" = systemd ]; then export RUNC_USE_SYSTEMD=yes; fi
if [ "$root" != / ]; then
  mount --bind "$root" "$root"
  for d in sys dev; do mount --rbind "/$d" "$root/$d"; done
fi
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
[ -n "${RUNC_USE_SYSTEMD:-}" ] || mount -t tmpfs -o mode=755 run "$root/run"
# Beside version 1 it is of no use here: the suite takes the host for one that mixes both.
if mountpoint -q "$root/sys/fs/cgroup/unified"; then umount -l "$root/sys/fs/cgroup/unified"; fi
mkdir -p "$root/run/yardstick"
cp "$program" "$root/run/yardstick/runc"
if [ "$root" != / ]; then
  cd "$root"
  mkdir -p .host
  pivot_root . .host
  umount -l /.host
fi
cd /runc/tests/integration
export RUNC=/run/yardstick/runc HOME=/root LANG=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# bats takes an expression, and tests of the suite ask for a terminal, whose input must not end:
# `script` would type that. Nor must it be the first process here: it takes an orphan's end for its
# own child's.
mkfifo /run/yardstick/input
timeout --foreground --kill-after 5 "$limit" script --quiet --return --command \
  "bats --tap --print-output-on-failure --filter '$name' $file" /dev/null <>/run/yardstick/input
