// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "kernel.h"
#include "message.h"
#include "pins.h"

/* mkdir -p that counts what it made. */
static int make_dirs(struct pins *p)
{
	char path[PATH_MAX];
	char *slash;

	if (snprintf(path, sizeof(path), "%s", p->dir) >= (int)sizeof(path))
		return fail(EXIT_FAIL,
			    "the name of the pin directory is too long");
	for (slash = strchr(path + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!mkdir(path, 0755))
			p->made++;
		*slash = '/';
	}
	if (!mkdir(path, 0755))
		p->made++;
	else if (errno != EEXIST)
		return fail(errno == EACCES || errno == EPERM ? EXIT_PRIVILEGE :
								EXIT_FAIL,
			    "cannot create %s: %s", path, strerror(errno));
	return EXIT_OK;
}

/* rmdir of the last components that make_dirs() made; others stay. */
static void remove_dirs(struct pins *p)
{
	char path[PATH_MAX];
	char *slash;

	snprintf(path, sizeof(path), "%s", p->dir);
	/* Below our own root nobody else needs them. */
	if (!strncmp(path, MMSCOPE_PIN_ROOT "/", strlen(MMSCOPE_PIN_ROOT "/")))
		p->made = p->made > 2 ? p->made : 2;
	while (p->made-- > 0) {
		if (rmdir(path))
			break;
		slash = strrchr(path, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	p->made = 0;
}

/* The deepest part of the path that exists must be on a BPF file system. */
static bool below_bpffs(const char *dir)
{
	char path[PATH_MAX];
	char *slash;

	snprintf(path, sizeof(path), "%s", dir);
	while (access(path, F_OK) && errno == ENOENT) {
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			return false;
		*slash = '\0';
	}
	return is_bpffs(path);
}

/* Whoever holds the lock, from /proc/locks; 0 when it is not to be found. */
static int lock_holder(int fd)
{
	unsigned int major, minor;
	unsigned long long ino;
	char line[256];
	struct stat st;
	int pid, found = 0;
	FILE *f;

	if (fstat(fd, &st))
		return 0;
	f = fopen("/proc/locks", "re");
	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid,
			   &major, &minor, &ino) == 4 &&
		    ino == st.st_ino && minor == minor(st.st_dev) &&
		    major == major(st.st_dev))
			found = pid;
	fclose(f);
	return found;
}

int pins_open(struct pins *p, const char *dir, bool keep)
{
	struct stat here, there;
	int err, pid, tries;

	memset(p, 0, sizeof(*p));
	p->dir = dir;
	p->fd = -1;
	p->keep = keep;
	if (*dir != '/')
		return fail(EXIT_USAGE,
			    "the pin directory '%s' must begin with a slash",
			    dir);
	if (!below_bpffs(dir))
		return fail(
			EXIT_FAIL,
			"%s is not on a BPF file system: mount one (mount -t bpf bpf /sys/fs/bpf), or use --no-pin",
			dir);
	/* A predecessor may remove the directory while we wait at its door. */
	for (tries = 0; tries < 16; tries++) {
		err = make_dirs(p);
		if (err)
			return err;
		p->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (p->fd < 0)
			continue;
		if (flock(p->fd, LOCK_EX | LOCK_NB)) {
			pid = lock_holder(p->fd);
			close(p->fd);
			p->fd = -1;
			if (pid > 0)
				return fail(
					EXIT_FAIL,
					"process %d has its maps in %s: use another --pin-dir, or --no-pin",
					pid, dir);
			return fail(
				EXIT_FAIL,
				"another mmscope has its maps in %s: use another --pin-dir, or --no-pin",
				dir);
		}
		if (!fstat(p->fd, &here) && !stat(dir, &there) &&
		    here.st_ino == there.st_ino && here.st_dev == there.st_dev)
			return EXIT_OK;
		close(p->fd);
		p->fd = -1;
	}
	return fail(EXIT_FAIL, "cannot take %s: %s", dir, strerror(errno));
}

int pins_add(struct pins *p, struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	char path[PATH_MAX];
	int err;

	if (p->count == sizeof(p->names) / sizeof(*p->names))
		return fail(EXIT_FAIL, "too many maps to pin");
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	if (unlink(path) && errno != ENOENT)
		return fail(EXIT_FAIL, "cannot replace %s: %s", path,
			    strerror(errno));
	err = bpf_map__pin(map, path);
	if (err)
		return fail(EXIT_FAIL, "cannot pin %s: %s", path,
			    strerror(-err));
	p->names[p->count++] = name;
	return EXIT_OK;
}

void pins_close(struct pins *p)
{
	char path[PATH_MAX];
	unsigned int i;

	if (p->fd < 0)
		return;
	if (!p->keep) {
		for (i = 0; i < p->count; i++) {
			snprintf(path, sizeof(path), "%s/%s", p->dir,
				 p->names[i]);
			unlink(path);
		}
		remove_dirs(p);
	}
	close(p->fd);
	p->fd = -1;
}
