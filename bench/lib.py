"""Timing of commands side by side: medians, 90th percentiles, ratios."""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time


def timed(command, env=None, stdin=None):
    """Milliseconds that one run of a command takes as a whole process."""
    started = time.perf_counter()
    result = subprocess.run(command, env=env, stdin=stdin or subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    elapsed = (time.perf_counter() - started) * 1000
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed: {result.stderr.decode(errors='replace')}")
    return elapsed


def alternate(runs, **contenders):
    """Runs the contenders in turn, so that a busy moment hits all of them alike."""
    samples = {name: [] for name in contenders}
    for name, work in contenders.items():
        work()
    for _ in range(runs):
        for name, work in contenders.items():
            samples[name].append(work())
    return samples


def report(title, samples, ours="barge", unit="ms"):
    """Prints the median and p90 of each contender, and how many times ours it is."""
    print(f"\n{title}")
    base = statistics.median(samples[ours])
    for name, values in samples.items():
        values = sorted(values)
        median = statistics.median(values)
        p90 = values[min(len(values) - 1, int(len(values) * 0.9))]
        ratio = "" if name == ours else f"   {median / base:5.1f}x of {ours}"
        print(f"  {name:<22} {median:9.1f} {unit}   p90 {p90:9.1f}{ratio}")


def resident_kib(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def private_kib(pid):
    total = 0
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1])
    return total


def private_dirty_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty:"))


class Engine:
    """A daemon with its own roots: Barge, or Debian's dockerd."""

    def __init__(self, name, command, cli, directory):
        self.name, self.cli, self.directory = name, cli, directory
        self.socket = f"{directory}/sock"
        self.env = dict(os.environ, DOCKER_HOST=f"unix://{self.socket}", BARGE_HOST=f"unix://{self.socket}",
                        DOCKER_CONFIG=f"{directory}/config")
        self.log = open(f"{directory}/log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        deadline = time.time() + 60
        while subprocess.run([*cli, "version"], env=self.env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL).returncode:
            if time.time() > deadline or self.process.poll() is not None:
                sys.exit(f"{name} did not come up:\n{open(f'{directory}/log').read()[-3000:]}")
            time.sleep(0.1)

    def run(self, *arguments):
        return timed([*self.cli, *arguments], env=self.env)

    def output(self, *arguments):
        return subprocess.run([*self.cli, *arguments], env=self.env, check=True, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()

    def clear(self):
        ids = self.output("ps", "-aq").split()
        if ids:
            self.run("rm", "-f", *ids)

    def stop(self):
        try:
            self.clear()
        finally:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.log.close()


def barge(binary, directory, number=201):
    os.makedirs(directory)
    return Engine("barge", [binary, "daemon", "--data-root", f"{directory}/data", "--exec-root", f"{directory}/run",
                            "--pidfile", f"{directory}/pid", "--bip", f"10.{number}.0.1/24",
                            "--host", f"unix://{directory}/sock"], [binary], directory)


def dockerd(directory, number=202):
    """Debian's dockerd in a network namespace of its own would not be fair; it gets its own bridge
    address on the host, and its iptables rules are removed with it by `in_own_network`."""
    daemon = next((path for path in ("/usr/sbin/dockerd", "/usr/bin/dockerd") if os.path.exists(path)), None)
    client = next((path for path in ("/usr/bin/docker", shutil.which("docker")) if path and os.path.exists(path)), None)
    if not daemon or not client:
        return None
    os.makedirs(directory)
    return Engine("docker", [daemon, "--data-root", f"{directory}/data", "--exec-root", f"{directory}/run",
                             "--pidfile", f"{directory}/pid", "--bip", f"10.{number}.0.1/24",
                             "--host", f"unix://{directory}/sock"], [client], directory)


def in_own_network():
    """Restarts this script in a network and mount namespace of its own: dockerd's bridge and
    iptables rules, and ours, vanish with it."""
    if os.environ.get("BENCH_NAMESPACE") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ["BENCH_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


def without_unified():
    """Restarts this script where a hybrid hierarchy's v2 part is out of sight: crun refuses to run beside it."""
    if os.environ.get("BENCH_NAMESPACE") != "1" and os.path.ismount("/sys/fs/cgroup/unified"):
        os.environ["BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified; exec "$@"', "sh",
                              sys.executable, *sys.argv])


def busybox_archive(directory):
    """A root filesystem of Debian's static busybox as a tar archive."""
    root, archive = f"{directory}/root", f"{directory}/busybox.tar"
    for path in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        os.makedirs(f"{root}/{path}")
    shutil.copy(shutil.which("busybox") or "/bin/busybox", f"{root}/bin/busybox")
    for applet in subprocess.check_output([f"{root}/bin/busybox", "--list"], text=True).split():
        if applet != "busybox":
            os.symlink("busybox", f"{root}/bin/{applet}")
    open(f"{root}/etc/passwd", "w").write("root:x:0:0:root:/:/bin/sh\n")
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    return root, archive


def scratch():
    return tempfile.mkdtemp(prefix="bb-", dir="/var/tmp")
