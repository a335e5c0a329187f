#!/bin/busybox sh
# The engine where cgroup v2 is all there is: what its users do first, and that nothing of it stays.
set -u
failed=0

# check EXPECTED COMMAND...: what the command prints, to both of its streams, without the last newline.
check() {
	expected=$1
	shift
	told=$("$@" 2>&1)
	[ "$told" = "$expected" ] && return
	failed=1
	printf 'FAILED: %s\nexpected: %s\ntold: %s\n' "$*" "$expected" "$told"
}

# await COMMAND...: until it succeeds, for half a minute.
await() {
	for _ in $(seq 300); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	failed=1
	echo "FAILED: $* did not come true"
}

mkdir -p /box/bin /box/etc /var/lib
cp /bin/busybox /box/bin/
for applet in cat dd grep httpd mknod sh sleep wget; do
	ln -s busybox /box/bin/$applet
done
tar -C /box -cf /box.tar .
# The first command starts the daemon.
barge import /box.tar box >/dev/null || failed=1

check 2 barge info --format '{{.CgroupVersion}}'
check 0::/ barge run --rm box cat /proc/self/cgroup
check "52428800
31457280
50000 100000
0
20" barge run --rm -m 50m --memory-swap 80m --cpus 0.5 --cpuset-cpus 0 --pids-limit 20 --network none box sh -c \
	'cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max cpuset.cpus pids.max'
check "cat: can't open '/tmp/kmsg': Operation not permitted" \
	barge run --rm --tmpfs /tmp:dev box sh -c 'mknod /tmp/kmsg c 1 11; cat /tmp/kmsg'
barge run --name greedy -m 20m --memory-swap 20m box sh -c 'x=a; while :; do x=$x$x; done' >/dev/null 2>&1
check 137-true barge inspect --format '{{.State.ExitCode}}-{{.State.OOMKilled}}' greedy
barge rm greedy >/dev/null

barge run -d --name web -p 8080:80 box sh -c 'mkdir /web; echo hello > /web/index.html; exec httpd -f -h /web' \
	>/dev/null || failed=1
await wget -qO /dev/null http://127.0.0.1:8080/
check hello wget -qO- http://127.0.0.1:8080/
check hello barge run --rm --network container:web box wget -qO- http://127.0.0.1/
barge pause web >/dev/null
check paused barge inspect --format '{{.State.Status}}' web
barge unpause web >/dev/null
kill -9 "$(cat /run/barge/barge.pid)"
check hello wget -qO- http://127.0.0.1:8080/
# The next command starts the next daemon.
check running barge inspect --format '{{.State.Status}}' web
check 0::/ barge exec web cat /proc/self/cgroup
barge rm -f web >/dev/null

check "" barge ps -aq
check "" find /sys/fs/cgroup/docker -mindepth 1 -type d
check 0 sh -c "ip link | grep -c veth"
exit $failed
