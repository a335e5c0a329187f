#!/usr/bin/env python3
"""The runtime alone, bundle to exit of `true`: barge runtime, crun and runc, above what the kernel alone takes (floor.c).

usage: bench/runtime.py BARGE_BINARY [RUNS]
"""

import json
import os
import shutil
import subprocess
import sys

import lib


def main():
    lib.without_unified()
    binary, runs = os.path.realpath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50
    directory = lib.scratch()
    try:
        root, _ = lib.busybox_archive(directory)
        bundle = f"{directory}/bundle"
        os.makedirs(bundle)
        os.rename(root, f"{bundle}/rootfs")
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.load(open(f"{bundle}/config.json"))
        spec["process"].update(args=["true"], terminal=False)
        spec["linux"]["cgroupsPath"] = "/barge-bench"
        json.dump(spec, open(f"{bundle}/config.json", "w"))
        contenders = {"barge": [binary, "runtime"], "crun": ["crun"], "runc": ["runc"]}
        contenders = {name: command for name, command in contenders.items() if shutil.which(command[0])}

        floor = f"{directory}/floor"
        subprocess.run(["cc", "-O2", "-static", "-o", floor, f"{os.path.dirname(os.path.realpath(__file__))}/floor.c"],
                       check=True)

        def once(name, command):
            return lib.timed([*command, "--root", f"{directory}/{name}", "run", "--bundle", bundle, f"bench-{name}"])

        once_each = {name: (lambda name=name, command=command: once(name, command)) for name, command in contenders.items()}
        once_each["floor"] = lambda: lib.timed([floor, f"{bundle}/rootfs", "barge-bench-floor"])
        lib.report("run of busybox true from a bundle", lib.alternate(runs, **once_each))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


main()
