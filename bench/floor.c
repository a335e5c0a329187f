/* The floor under any OCI runtime: what the kernel alone takes for a container of `true` as `runc spec` describes it.
   No configuration is read, no state is written, nothing is checked.

   usage: floor ROOTFS NAME      ROOTFS has bin/true */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *hierarchies[32];
static int count;

static void must(int result, const char *what) {
	if (result < 0) {
		perror(what);
		_exit(1);
	}
}

/* Those of version 1, by the names that they are mounted under, or that of version 2 alone. */
static void find_hierarchies(void) {
	static char lines[32][256];
	FILE *table = fopen("/proc/self/mounts", "r");
	char line[1024], where[256], type[64];
	while (table && count < 32 && fgets(line, sizeof line, table))
		if (sscanf(line, "%*s %255s %63s", where, type) == 2 && !strncmp(type, "cgroup", 6))
			hierarchies[count] = strcpy(lines[count], where), count++;
	if (table)
		fclose(table);
}

static void put(const char *file, const char *text) {
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	must(fd, file);
	must(write(fd, text, strlen(text)), file);
	close(fd);
}

static void device(const char *name, int major, int minor) {
	must(mknod(name, S_IFCHR | 0666, major << 8 | minor), name);
}

static int container(const char *root, const char *name) {
	char path[512];
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%s/tasks", hierarchies[i], name);
		if (access(path, F_OK))
			snprintf(path, sizeof path, "%s/%s/cgroup.procs", hierarchies[i], name);
		put(path, "0");
	}
	must(unshare(CLONE_NEWCGROUP), "unshare");
	must(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0), "private");
	must(mount(root, root, 0, MS_BIND | MS_REC, 0), "bind");
	must(chdir(root), "chdir");
	must(mount("proc", "proc", "proc", 0, 0), "proc");
	must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k"), "dev");
	mkdir("dev/pts", 0755), mkdir("dev/shm", 0755), mkdir("dev/mqueue", 0755);
	must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"), "pts");
	must(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k"), "shm");
	must(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0), "mqueue");
	must(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, 0), "sysfs");
	must(mount("tmpfs", "sys/fs/cgroup", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"), "cgroups");
	for (int i = 0; i < count; i++) {
		char own[512], inside[512];
		snprintf(own, sizeof own, "%s/%s", hierarchies[i], name);
		snprintf(inside, sizeof inside, "sys/fs/cgroup%s", strrchr(hierarchies[i], '/'));
		mkdir(inside, 0755);
		must(mount(own, inside, 0, MS_BIND, 0), inside);
		must(mount(0, inside, 0, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, 0), inside);
	}
	device("dev/null", 1, 3), device("dev/zero", 1, 5), device("dev/full", 1, 7);
	device("dev/random", 1, 8), device("dev/urandom", 1, 9), device("dev/tty", 5, 0);
	must(symlink("pts/ptmx", "dev/ptmx"), "ptmx");
	must(symlink("/proc/self/fd", "dev/fd"), "fd");
	const char *masked[] = {"proc/kcore", "proc/keys", "proc/timer_list"};
	for (int i = 0; i < 3; i++)
		if (!access(masked[i], F_OK))
			must(mount("dev/null", masked[i], 0, MS_BIND, 0), masked[i]);
	const char *readonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
	for (int i = 0; i < 5; i++) {
		if (access(readonly[i], F_OK))
			continue;
		must(mount(readonly[i], readonly[i], 0, MS_BIND | MS_REC, 0), readonly[i]);
		must(mount(0, readonly[i], 0, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, 0), readonly[i]);
	}
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount");
	must(mount(0, "/", 0, MS_BIND | MS_REMOUNT | MS_RDONLY, 0), "readonly root");
	must(chdir("/"), "chdir");
	must(sethostname("runc", 4), "hostname");
	execl("/bin/true", "true", (char *)0);
	must(-1, "exec");
	return 1;
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	find_hierarchies();
	char path[512];
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%s", hierarchies[i], argv[2]);
		must(mkdir(path, 0755), path);
		if (strstr(path, "/cpuset/")) {
			char file[600], value[256];
			const char *inherited[] = {"cpuset.cpus", "cpuset.mems"};
			for (int j = 0; j < 2; j++) {
				snprintf(file, sizeof file, "%s/%s", hierarchies[i], inherited[j]);
				int fd = open(file, O_RDONLY | O_CLOEXEC);
				ssize_t length = fd < 0 ? -1 : read(fd, value, sizeof value - 1);
				close(fd);
				if (length <= 0)
					continue;
				value[length] = 0;
				snprintf(file, sizeof file, "%s/%s", path, inherited[j]);
				put(file, value);
			}
		}
	}
	long flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | SIGCHLD;
	pid_t child = syscall(SYS_clone, flags, 0, 0, 0, 0);
	must(child, "clone");
	if (child == 0)
		return container(argv[1], argv[2]);
	int status;
	must(waitpid(child, &status, 0), "wait");
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%s", hierarchies[i], argv[2]);
		while (rmdir(path) < 0 && errno == EBUSY)
			;
	}
	return status != 0;
}
