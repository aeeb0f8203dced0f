#!/bin/busybox sh
# The first process of a test host: mounts the machine's root, read-only, below a writable layer in
# memory, makes the host one of its kind, and runs the job. Standard input and output are the second
# serial line, where the task is; whatever else is said goes to the first, which becomes a log.
#
# The kernel's command line tells the job (ropewalk.job=PATH) and the kind (ropewalk.host=KIND).

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for option in $(cat /proc/cmdline); do
    case $option in
    ropewalk.job=*) job=${option#*=} ;;
    ropewalk.host=*) host=${option#*=} ;;
    esac
done

# Ends the machine; its emulator ends with twice the status and one.
finish() {
    PATH=/bin
    printf "\\$(printf %03o "$1")" | dd of=/dev/port bs=1 seek=244 conv=notrunc 2>/dev/null
    poweroff -f
}

modprobe -a virtio_pci 9pnet_virtio 9p overlay virtio_net
mkdir -p /machine /layer /new
# Nobody changes the machine's files meanwhile, so whatever was looked up once stays true.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose machine /machine &&
    mount -t tmpfs layer /layer && mkdir /layer/upper /layer/work &&
    mount -t overlay -o lowerdir=/machine,upperdir=/layer/upper,workdir=/layer/work root /new ||
    finish 120

mkdir -p /new/lib/modules
mount --bind /lib/modules /new/lib/modules
mount -t tmpfs -o mode=755 run /new/run
mkdir /new/run/netns /new/run/lock
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
for directory in proc sys dev; do
    mount --rbind /$directory /new/$directory
done

if [ "$host" = iptables-only ]; then
    # The kernel has no nftables, and the programs called iptables are the old ones.
    find /lib/modules -name 'nf_tables.ko' -exec rm {} +
    for program in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -sf xtables-legacy-multi /new/usr/sbin/$program
    done
fi

# As on hosts of containers: what a bridge forwards passes the packet filter too, and the device file
# of taps is there, which elsewhere udev makes before its module is loaded.
modprobe -a br_netfilter tun
ip link set lo up
stty -F /dev/ttyS1 raw -echo
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cat >/new/run/job <<'END'
/bin/sh "$1" </dev/ttyS1 >/dev/ttyS1 2>/dev/console
printf "\\$(printf %03o $?)" | dd of=/dev/port bs=1 seek=244 conv=notrunc 2>/dev/null
END
# What is mounted over the root is the root of all that follows: of the kernel, which looks for
# modprobe there, and of whoever enters a mount namespace.
cd /new || finish 120
mount --move . /
exec /bin/busybox chroot . /bin/sh /run/job "$job"
