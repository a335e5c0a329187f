#!/bin/sh
# A container's life by the runtime's own command line: `runtime.sh BARGE`. What callers wait for comes first.
set -eu
barge=$1
dir=$(mktemp -d /var/tmp/barge-layout.XXXXXX)
runtime() { "$barge" runtime --root "$dir/state" "$@"; }
clean() {
	runtime delete --force kept >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap clean EXIT

mkdir -p "$dir/bundle/rootfs/bin" "$dir/bundle/rootfs/etc"
cp "$(command -v busybox)" "$dir/bundle/rootfs/bin/busybox"
for applet in sh sleep true; do ln -s busybox "$dir/bundle/rootfs/bin/$applet"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$dir/bundle/rootfs/etc/passwd"
cd "$dir/bundle"

configure() {
	rm -f config.json
	"$barge" runtime spec
	tr -d '\n' <config.json >one-line
	sed -e 's/"terminal": *true/"terminal": false/' -e "s|\"args\": *\[[^]]*\]|\"args\": [$1]|" one-line >config.json
}

# Twice: the second finds what the first has put by.
configure '"true"'
runtime run short
runtime run short

configure '"sleep", "1000"'
runtime create kept </dev/null >/dev/null 2>&1
runtime state kept >/dev/null
runtime start kept
runtime exec kept true
runtime exec --user 1:1 --env A=B --cwd /bin kept sh -c true
runtime state kept >/dev/null
runtime list >/dev/null
runtime ps kept >/dev/null
runtime update --memory 64000000 --pids-limit 100 kept
runtime pause kept
runtime resume kept
runtime kill kept KILL
while [ "$(runtime state kept | grep -c '"status": *"stopped"')" = 0 ]; do sleep 0.05; done
runtime delete kept
runtime run --detach kept </dev/null >/dev/null 2>&1
runtime delete --force kept
runtime features >/dev/null
