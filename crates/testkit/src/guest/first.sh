#!/bin/busybox sh
# The guest's first process: finds the disk, lays the test's own files over it, and goes there.
# What the kernel calls virtio is in modules, which depend on one another in this order.
for name in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
  busybox insmod /modules/$name.ko
done
busybox mkdir -p /dev /root
busybox mount -t devtmpfs dev /dev
busybox mount -t ext4 /dev/vda /root
busybox mount --move /dev /root/dev
busybox cp -a /files/. /root/
# A file there has brought a directory of its own.
busybox chmod 1777 /root/tmp
first="/bin/sh /guest.sh"
if [ -e /root/etc/systemd/system/guest.service ]; then first=/lib/systemd/systemd; fi
exec busybox switch_root /root $first
