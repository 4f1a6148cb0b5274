#!/bin/busybox sh
# The guest's first program. Everything it says goes to the console, which `cargo xtask guest` reads.
b=/bin/busybox
stop() {
    echo "lucarne-guest: cannot $1"
    $b poweroff -f
    exit 1
}

$b mount -t proc proc /proc || stop "mount /proc"
$b mount -t sysfs sys /sys || stop "mount /sys"
$b mount -t devtmpfs dev /dev || stop "mount /dev"
for module in /modules/*.ko; do
    $b insmod "$module" || stop "load $module"
done

# The root stays as it is: what is written lands in memory, over it.
share=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $share,cache=loose,ro root /lower || stop "mount the root"
$b mount -t tmpfs tmpfs /upper || stop "mount memory"
$b mkdir /upper/changes /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/changes,workdir=/upper/work overlay /root ||
    stop "lay memory over the root"

# A root of its own sees the host's folders that the programs are in, under their names there.
if [ -s /folders ]; then
    $b mount -t 9p -o $share,cache=loose,ro host /host || stop "mount the host's root"
    while read -r folder; do
        $b mkdir -p "/root$folder"
        $b mount -o bind "/host$folder" "/root$folder" || stop "show $folder"
    done < /folders
fi

# What the host has mounted is not the guest's.
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t devtmpfs dev /root/dev
$b mount -t debugfs debugfs /root/sys/kernel/debug
$b mkdir -p /root/dev/shm /root/dev/pts /root/run
$b mount -t devpts devpts /root/dev/pts
$b ln -sf /proc/self/fd /root/dev/fd
for folder in run dev/shm; do
    $b mount -t tmpfs -o mode=1777 tmpfs /root/$folder || stop "mount /$folder"
done

$b mkdir -p /root/run/lucarne/results
$b mount -t 9p -o $share,cache=none results /root/run/lucarne/results || stop "mount the results folder"
$b cp $b /root/run/lucarne/busybox
exec $b switch_root /root /bin/sh /run/lucarne/results/guest.sh
