# The guest's first process on its own root, or a service of systemd's: mounts what a system has, then
# runs one script after the other. A request is a line with its length in bytes and a user, and the script; the answer a
# line with the exit code and the lengths of both outputs, and the outputs.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8
if [ ! -d /run/systemd/system ]; then
  mount -t proc proc /proc
  mount -t sysfs sys /sys
  mount -t tmpfs -o mode=755 run /run
  mkdir -p /dev/pts /dev/shm /run/guest /run/user/1000
  chown 1000:1000 /run/user/1000
  mount -t devpts -o ptmxmode=666 devpts /dev/pts
  mount -t tmpfs shm /dev/shm
  # As systemd does it.
  mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
fi
mkdir -p /run/guest
busybox ip link set lo up
modprobe -a virtio_console overlay erofs loop fuse
cd /run/guest
until [ -e /dev/vport?p1 ]; do sleep 0.05; done
exec 3<>"$(echo /dev/vport?p1)"
echo ready >&3
while read -r length user <&3; do
  head -c "$length" <&3 >script
  case $user in
    root) sh script ;;
    *)
      setpriv --reuid="$user" --regid="$user" --init-groups \
        env -i -C "/home/$user" HOME="/home/$user" USER="$user" PATH="$PATH" LANG="$LANG" \
        XDG_RUNTIME_DIR=/run/user/1000 sh "$PWD/script"
      ;;
  esac </dev/null >out 2>err 3<&-
  echo "$? $(stat -c %s out) $(stat -c %s err)" >&3
  cat out err >&3
done
echo b >/proc/sysrq-trigger
