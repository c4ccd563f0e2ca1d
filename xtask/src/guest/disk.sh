# Completes the root directory $1 with the modules of kernel $2 and a user,
# and writes it as an ext4 file system into the file $3.
set -eu
mkdir -p "$1/usr/lib/modules"
cp -a "$2"/lib/modules/* "$1/usr/lib/modules/"
for version in "$2"/lib/modules/*; do chroot "$1" depmod "${version##*/}"; done
chroot "$1" useradd --create-home --uid 1000 user
# Nothing asks for a name in a network, and documents are for people.
rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/doc "$1"/usr/share/locale
mke2fs -q -t ext4 -d "$1" "$3" 4G
