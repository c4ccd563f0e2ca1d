# For the scripts that run in the guest.

# in_box OPTIONS COMMAND...
in_box() {
  options=$1
  shift
  creel run --rm $options box "$@"
}

# Starts a container in the background and waits until it runs: start NAME OPTIONS...
start() {
  name=$1
  shift
  creel run --rm --name "$name" "$@" box sh -c 'echo ready; sleep 1000; true' >/tmp/ready 2>&1 &
  for _ in $(seq 300); do
    grep -q ready /tmp/ready && return
    sleep 0.1
  done
  cat /tmp/ready
  return 1
}

# The process of what `start` started.
pid_of_box() {
  pgrep -xof 'sh -c echo ready; .*'
}

# Kills every `creel run`.
kill_run() {
  pkill -9 -x creel
  sleep 0.1
}

# Makes a group that has all controllers and moves this shell there.
enter_group() {
  mkdir -p "$1"
  echo '+memory +cpu +pids' >/sys/fs/cgroup/cgroup.subtree_control
  echo $$ >"$1/cgroup.procs"
}

# Makes a group that belongs to the user, as systemd's `Delegate=` does, and moves this shell into one
# below it.
enter_delegated() {
  enter_group "$1"
  mkdir "$1/session"
  chown user "$1" "$1/cgroup.procs" "$1/cgroup.subtree_control" "$1/session" "$1/session/cgroup.procs"
  echo $$ >"$1/session/cgroup.procs"
}

# Runs a script as the user, in this shell's group.
as_user() {
  setpriv --reuid=user --regid=user --init-groups env -i -C /home/user HOME=/home/user \
    PATH="$PATH" XDG_RUNTIME_DIR=/run/user/1000 sh -uc ". /lib.sh; $1"
}

# The control groups that containers have.
groups() {
  find /sys/fs/cgroup -mindepth 1 -type d -path '*/creel/*'
}
