#!/bin/sh
# A hook of mmdebstrap: writes the base system as layer 1, then installs one group of packages after
# the other and writes what each changed as a further layer.
# Arguments: the new root, the directory for the layers, and the groups.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
root=$1 out=$2
shift 2

names() {
  (cd "$root" && find . -xdev \( -path ./dev -o -path ./proc -o -path ./run -o -path ./sys \
    -o -path ./tmp -o -path ./var/cache/apt -o -path ./var/lib/apt/lists -o -path ./var/log \) \
    -prune -o "$@" -print) | sort
}

# Adds the directories above each name, which layers usually carry along.
with_parents() {
  awk '{ print; while (sub("/[^/]*$", "") && $0 != "") print }' | sort -u
}

pack() {
  tar --create --file "$1" --directory "$root" --format=pax --numeric-owner --no-recursion \
    --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include=security.capability \
    --verbatim-files-from --files-from "$2"
}

append() {
  tar --append --file "$1" --directory "$2" --format=pax --owner=0 --group=0 --no-recursion \
    --pax-option=delete=atime,delete=ctime --verbatim-files-from --files-from "$out/packed"
}

names > "$out/names"
pack "$out/1.tar" "$out/names"
# What is in these is the machine's and not the image's.
mkdir "$out/empty"
cd "$out/empty"
mkdir -p dev proc run sys var/cache/apt var/log
mkdir -m 1777 tmp
find . -mindepth 1 -type d -empty > "$out/packed"
append "$out/1.tar" "$out/empty"

layer=1
for packages in "$@"; do
  layer=$((layer + 1))
  touch "$out/stamp"
  # apt outside has the network, and only dpkg inside installs into the new root.
  # shellcheck disable=SC2086 # the packages are separated by blanks
  {
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq install -y --no-install-recommends \
      --download-only $packages &&
      chroot "$root" apt-get -qq install -y --no-install-recommends --no-download $packages
  } > "$out/apt.log" 2>&1 || { cat "$out/apt.log" >&2; exit 1; }
  names > "$out/names.new"
  names -cnewer "$out/stamp" | with_parents > "$out/packed"
  pack "$out/$layer.tar" "$out/packed"
  # A name that is gone and whose directory is not is a whiteout.
  rm -rf "$out/gone"
  mkdir "$out/gone"
  comm -23 "$out/names" "$out/names.new" | while read -r name; do
    directory=${name%/*}
    if [ -d "$root/$directory" ]; then
      mkdir -p "$out/gone/$directory"
      : > "$out/gone/$directory/.wh.${name##*/}"
    fi
  done
  (cd "$out/gone" && find . -type f) > "$out/packed"
  append "$out/$layer.tar" "$out/gone"
  mv "$out/names.new" "$out/names"
done
