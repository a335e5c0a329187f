#!/usr/bin/env python3
"""Pull and push of a Debian minbase image, registry on loopback: Barge and Debian's Docker.

usage: bench/pull.py BARGE_BINARY [RUNS]
"""

import os
import shutil
import subprocess
import sys
import time

import lib


def debian(directory):
    kept = "/var/tmp/barge-bench-debian.tar"
    if not os.path.exists(kept):
        targets = subprocess.check_output(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], text=True)
        mirror = next(line for line in targets.split() if "security" not in line)
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", f"{directory}/debian", mirror], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["tar", "--numeric-owner", "-C", f"{directory}/debian", "-cf", kept, "."], check=True)
    return kept


def main():
    archive = debian(lib.scratch()) if os.environ.get("BENCH_NAMESPACE") != "1" else "/var/tmp/barge-bench-debian.tar"
    lib.in_own_network()
    binary, runs = os.path.realpath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    directory = lib.scratch()
    engines = []
    config = f"{directory}/registry.yml"
    open(config, "w").write(f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {directory}/registry\n"
                            "  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:5000\n")
    registry = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        engines = [engine for engine in (lib.barge(binary, f"{directory}/b"), lib.dockerd(f"{directory}/d")) if engine]
        every = {engine.name: engine for engine in engines}
        time.sleep(1)
        # Both pull the image that Docker pushed (gzip at its own level), so that they read the same bytes.
        source = engines[-1]
        source.run("import", archive, "127.0.0.1:5000/debian:bookworm")
        source.run("push", "127.0.0.1:5000/debian:bookworm")
        source.run("rmi", "127.0.0.1:5000/debian:bookworm")

        def pull(engine):
            elapsed = engine.run("pull", "-q", "127.0.0.1:5000/debian:bookworm")
            engine.run("rmi", "127.0.0.1:5000/debian:bookworm")
            return elapsed

        lib.report("pull of Debian minbase, registry on loopback", lib.alternate(runs, **{
            name: (lambda engine=engine: pull(engine)) for name, engine in every.items()}))
    finally:
        for engine in engines:
            engine.stop()
        registry.kill()
        registry.wait()
        subprocess.run(f"grep -o '{directory}[^ ]*' /proc/self/mountinfo | sort -r | xargs -r umount -l", shell=True)
        shutil.rmtree(directory, ignore_errors=True)


main()
