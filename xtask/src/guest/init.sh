#!/bin/busybox sh
# The guest's first program: leaves the initial file system (from which nothing can pivot), makes a host with
# cgroup v2 alone, runs the tests, says how they ended and powers off. Where there is a systemd, it makes the host and
# starts this again for the tests.
set -u
export PATH=/bin

settle() {
	/bin/busybox mkdir -p /new
	/bin/busybox mount -t tmpfs -o mode=755,size=75% tmpfs /new
	for entry in bin dev engine.sh etc init lib lib64 modules profiles sbin target usr var; do
		[ ! -e /$entry ] || /bin/busybox cp -a /$entry /new/
	done
	/bin/busybox mkdir -p /new/proc /new/sys /new/tmp /new/run /new/root /new/usr/bin
	/bin/busybox chroot /new /bin/busybox --install -s /bin
	[ ! -x /new/lib/systemd/systemd ] || exec /bin/busybox switch_root /new /lib/systemd/systemd
	exec /bin/busybox switch_root /new /init settled
}

make_host() {
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs devtmpfs /dev
	mkdir -p /dev/pts /dev/shm /dev/mqueue
	mount -t devpts -o ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t mqueue mqueue /dev/mqueue
	mount -t tmpfs -o mode=1777 tmpfs /tmp
	mount -t securityfs securityfs /sys/kernel/security
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	ln -sf /proc/self/fd /dev/fd
	ip link set lo up
	hostname guest
}

run_tests() {
	for module in /modules/*.ko; do
		insmod "$module" || echo "guest: $module was not loaded"
	done
	for profile in /profiles/*; do
		[ -e "$profile" ] || continue
		cat "$profile" >/sys/kernel/security/apparmor/.load || echo "guest: $profile was not loaded"
	done
	# Messages of the kernel would land in the midst of the tests' lines on the one serial line.
	dmesg -n 1
	echo "guest: Linux $(uname -r), controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
	cd /
	for word in $(cat /proc/cmdline); do
		case $word in BARGE_FAULTS=*) export "$word" ;; esac
	done
	if [ -e /engine.sh ]; then
		sh /engine.sh 2>&1
	else
		/target/deps/it --test-threads "$1" $(cat /proc/cmdline | tr ' ' '\n' | sed -n 's/^it=//p') 2>&1
	fi
	echo "guest: the tests ended with status $?"
	sync
	poweroff -f
}

case "${1:-}" in
settled)
	make_host
	run_tests 2
	;;
under-systemd)
	# One after the other: there is one systemd, and a test reloads it.
	run_tests 1
	;;
*)
	settle
	;;
esac
