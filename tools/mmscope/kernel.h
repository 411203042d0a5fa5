/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_KERNEL_H
#define MMSCOPE_KERNEL_H

#include <stdbool.h>

struct btf;

/**
 * kernel_btf() - the running kernel's own type information
 *
 * Return: the caller frees it with btf__free(); NULL with errno set.
 */
struct btf *kernel_btf(void);

/** kernel_has_tracepoint() - can a tp_btf program attach to @name? */
bool kernel_has_tracepoint(const struct btf *btf, const char *name);

/* The tracepoints of shared leaf tables, up to NULL. */
extern const char *const scome_tracepoints[];

/** kernel_lacks_scome() - the first of them that is missing, or NULL */
const char *kernel_lacks_scome(const struct btf *btf);

/** kernel_release() - what `uname -r` prints */
const char *kernel_release(void);

/** have_capability() - is capability number @cap effective in this process? */
bool have_capability(int cap);

/** may_trace() - CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN */
bool may_trace(void);

/** is_bpffs() - is @path on a mounted BPF file system? */
bool is_bpffs(const char *path);

/** initial_pid_namespace() - does kill(2) mean the PIDs the kernel reports? */
bool initial_pid_namespace(void);

#endif
