#!/usr/bin/env python3
"""One more process in a running container, 100 containers at once, and the runtime's memory: barge-runc, crun and runc.

usage: bench/exec.py BARGE_BINARY [RUNS]
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import lib

DETACHED = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Runtime:
    """One runtime's command line, with state of its own."""

    def __init__(self, name, program, directory):
        self.name, self.start = name, [program, "--root", f"{directory}/{name}"]

    def __call__(self, *arguments):
        return lib.timed([*self.start, *arguments])

    def detach(self, bundle, container):
        """A container in the background. It keeps its streams, so that no pipe of ours may be among them."""
        subprocess.run([*self.start, "run", "--detach", "--bundle", bundle, container], check=True, **DETACHED)

    def peak(self, *arguments):
        """The most memory in KiB that the command had resident. A process begins with the peak of the one that it is
        a copy of, so it has to be a smaller one than this: time(1)."""
        out = tempfile.NamedTemporaryFile("r")
        subprocess.run(["/usr/bin/time", "-f", "%M", "-o", out.name, *self.start, *arguments], check=True, **DETACHED)
        return int(out.read())


    def charged(self, *arguments):
        """The most memory in KiB that the kernel held the command's own processes liable for: what they write to and what
        it keeps for them, but not the pages of their programs, which others have read before."""
        group = f"/sys/fs/cgroup/memory/barge-bench-{os.getpid()}"
        os.mkdir(group)
        try:
            line = [f"echo 0 > {group}/tasks; exec \"$@\"", "sh", *self.start, *arguments]
            subprocess.run(["sh", "-c", *line], check=True, **DETACHED)
            return int(open(f"{group}/memory.max_usage_in_bytes").read()) // 1024
        finally:
            os.rmdir(group)


def bundle(directory, root, name, args):
    path = f"{directory}/{name}"
    os.makedirs(path)
    subprocess.run(["runc", "spec"], cwd=path, check=True)
    spec = json.load(open(f"{path}/config.json"))
    spec["root"] = {"path": root, "readonly": True}
    spec["process"].update(args=args, terminal=False)
    spec["linux"].pop("cgroupsPath", None)
    json.dump(spec, open(f"{path}/config.json", "w"))
    return path


def place(bundle, group):
    """Without a path a container gets a cgroup of its own by its name; some runtimes make it below the caller's."""
    spec = json.load(open(f"{bundle}/config.json"))
    spec["linux"]["cgroupsPath"] = group
    json.dump(spec, open(f"{bundle}/config.json", "w"))


def forget(program):
    """Leaves a program file on the disk alone. One that has just been built or copied is cached in large pieces, all of
    which newer kernels map at the touch of one page: up to a third more would seem to be resident."""
    file = os.open(program, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def memory(runtimes, sleeper, runs=7):
    for runtime in runtimes:
        forget(runtime.start[0])
    compare_memory("peak resident memory of the runtime's own process", Runtime.peak, runtimes, sleeper, runs)
    if os.path.isdir("/sys/fs/cgroup/memory"):
        compare_memory("peak memory charged for the runtime", Runtime.charged, runtimes, sleeper, runs)


def compare_memory(title, measure, runtimes, sleeper, runs):
    print(f"\n{title}")
    verbs = {
        "create": lambda r, n: measure(r, "create", "--bundle", sleeper, f"{r.name}-peak-{n}"),
        "start": lambda r, n: measure(r, "start", f"{r.name}-peak-{n}"),
        "exec": lambda r, n: measure(r, "exec", f"{r.name}-peak-{n}", "true"),
        "state": lambda r, n: measure(r, "state", f"{r.name}-peak-{n}"),
        "delete": lambda r, n: measure(r, "delete", "--force", f"{r.name}-peak-{n}"),
    }
    samples = {verb: {runtime.name: [] for runtime in runtimes} for verb in verbs}
    for number in range(runs):
        for runtime in runtimes:
            place(sleeper, f"/barge-bench-{runtime.name}-{number}")
            for verb, sample in verbs.items():
                samples[verb][runtime.name].append(sample(runtime, number))
    for verb, of in samples.items():
        ours = statistics.median(of["barge"])
        for name, values in of.items():
            median = statistics.median(values)
            ratio = "" if name == "barge" else f"   {median / ours:5.2f}x of barge"
            print(f"  {verb:<8} {name:<13} {median / 1024:9.2f} MiB{ratio}")


def parallel(runtime, path, count=100, workers=16):
    """Containers a second that are created, run to their end and deleted, several at a time; each must succeed."""
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda n: runtime("run", "--bundle", path, f"{runtime.name}-many-{n}"), range(count)))
    return count / (time.perf_counter() - started)


def compare(directory, runtimes, runs):
    root, _ = lib.busybox_archive(directory)
    sleeper = bundle(directory, root, "sleeper", ["sleep", "1000"])
    short = bundle(directory, root, "short", ["true"])
    for runtime in runtimes:
        runtime.detach(sleeper, f"{runtime.name}-exec")
    try:
        lib.report("exec of true in a running container", lib.alternate(runs, **{
            r.name: (lambda r=r: r("exec", f"{r.name}-exec", "true")) for r in runtimes}))
        lib.report("state of a running container", lib.alternate(runs, **{
            r.name: (lambda r=r: r("state", f"{r.name}-exec")) for r in runtimes}))
        memory(runtimes, sleeper)
        print("\n100 x run of true, 16 at a time")
        rates = {r.name: max(parallel(r, short) for _ in range(2)) for r in runtimes}
        for name, rate in rates.items():
            ratio = "" if name == "barge" else f"   barge is {rates['barge'] / rate:.1f}x faster"
            print(f"  {name:<22} {rate:9.1f} containers/s{ratio}")
    finally:
        for runtime in runtimes:
            listed = subprocess.run([*runtime.start, "list", "-q"], stdout=subprocess.PIPE, text=True).stdout
            for container in listed.split():
                subprocess.run([*runtime.start, "delete", "--force", container], **DETACHED)


def main():
    lib.without_unified()
    binary, runs = os.path.realpath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50
    directory = lib.scratch()
    try:
        os.symlink(binary, f"{directory}/barge-runc")
        programs = {"barge": f"{directory}/barge-runc", "crun": shutil.which("crun"), "runc": shutil.which("runc")}
        compare(directory, [Runtime(name, program, directory) for name, program in programs.items() if program], runs)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


main()
