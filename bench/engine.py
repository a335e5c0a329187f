#!/usr/bin/env python3
"""Barge and Debian's Docker side by side: run, exec, ps, parallel starts, memory.

usage: bench/engine.py BARGE_BINARY [RUNS]
"""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import lib


def children(pid):
    listed = subprocess.run(["pgrep", "-P", str(pid)], text=True, stdout=subprocess.PIPE).stdout.split()
    return [int(child) for child in listed]


def parallel(engine, count=50, workers=16):
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _: engine.run("run", "-d", "busybox", "sleep", "600"), range(count)))
    return count / (time.perf_counter() - started)


def main():
    lib.in_own_network()
    binary, runs = os.path.realpath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
    directory = lib.scratch()
    engines = []
    try:
        _, archive = lib.busybox_archive(directory)
        engines = [engine for engine in (lib.barge(binary, f"{directory}/b"), lib.dockerd(f"{directory}/d")) if engine]
        for engine in engines:
            engine.run("import", archive, "busybox:latest")
        every = {engine.name: engine for engine in engines}

        def compare(title, *arguments, count=runs):
            lib.report(title, lib.alternate(count, **{
                name: (lambda engine=engine: engine.run(*arguments)) for name, engine in every.items()}))

        time.sleep(2)
        print("daemon at rest, resident")
        for engine in engines:
            pids = [engine.process.pid, *children(engine.process.pid)]
            print(f"  {engine.name:<22} {sum(map(lib.resident_kib, pids)) / 1024:9.1f} MiB")

        compare("run --rm busybox true, bridge network", "run", "--rm", "busybox", "true")
        compare("run --rm --network none busybox true", "run", "--rm", "--network", "none", "busybox", "true")
        for engine in engines:
            engine.run("run", "-d", "--name", "box", "busybox", "sleep", "600")
        compare("exec box true", "exec", "box", "true")
        compare("ps", "ps")
        print("\nsupervisor of one container, private memory")
        pid = every["barge"].output("inspect", "--format", "{{.State.Pid}}", "box")
        parent = int(next(line for line in open(f"/proc/{pid}/status") if line.startswith("PPid")).split()[1])
        print(f"  barge                  {lib.private_kib(parent) / 1024:9.2f} MiB "
              f"({lib.private_dirty_kib(parent) / 1024:.2f} MiB written to)")
        if "docker" in every:
            shims = subprocess.run(["pgrep", "-f", f"containerd-shim.*{directory}"], text=True,
                                   stdout=subprocess.PIPE).stdout.split()
            for shim in shims[:1]:
                print(f"  docker                 {lib.private_kib(int(shim)) / 1024:9.2f} MiB")
        compare("run that prints 200,000 lines", "run", "--rm", "busybox", "seq", "1", "200000", count=5)
        for engine in engines:
            engine.run("run", "--name", "lines", "busybox", "seq", "1", "200000")
        compare("logs of 200,000 lines", "logs", "lines", count=5)
        for engine in engines:
            engine.clear()

        print("\n50 x run -d, 16 at a time")
        rates = {engine.name: parallel(engine) for engine in engines}
        for name, rate in rates.items():
            ratio = "" if name == "barge" else f"   barge is {rates['barge'] / rate:.1f}x faster"
            print(f"  {name:<22} {rate:9.1f} containers/s{ratio}")
    finally:
        for engine in engines:
            engine.stop()
        subprocess.run(f"grep -o '{directory}[^ ]*' /proc/self/mountinfo | sort -r | xargs -r umount -l", shell=True)
        shutil.rmtree(directory, ignore_errors=True)


main()
