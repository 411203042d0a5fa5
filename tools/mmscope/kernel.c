// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <bpf/btf.h>

#include "kernel.h"

/* PROC_PID_INIT_INO: the inode number of the initial PID namespace. */
#define INITIAL_PID_NAMESPACE 0xeffffffcU

struct btf *kernel_btf(void)
{
	return btf__load_vmlinux_btf();
}

bool kernel_has_tracepoint(const struct btf *btf, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

const char *const scome_tracepoints[] = {
	"scome_unit_create", "scome_unit_retire",
	"scome_link",	     "scome_unlink",
	"scome_leave",	     "scome_fault",
	"scome_shootdown",   NULL,
};

const char *kernel_lacks_scome(const struct btf *btf)
{
	const char *const *name = scome_tracepoints;

	while (*name && kernel_has_tracepoint(btf, *name))
		name++;
	return *name;
}

const char *kernel_release(void)
{
	static struct utsname uts;

	return uname(&uts) ? "(unknown)" : uts.release;
}

bool have_capability(int cap)
{
	unsigned long long caps = 0;
	char line[128];
	FILE *f;

	f = fopen("/proc/self/status", "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	fclose(f);
	return caps >> cap & 1;
}

bool may_trace(void)
{
	return have_capability(CAP_SYS_ADMIN) ||
	       (have_capability(CAP_BPF) && have_capability(CAP_PERFMON));
}

bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned int)fs.f_type == BPF_FS_MAGIC;
}

bool initial_pid_namespace(void)
{
	struct stat st;

	return !stat("/proc/self/ns/pid", &st) &&
	       st.st_ino == INITIAL_PID_NAMESPACE;
}
