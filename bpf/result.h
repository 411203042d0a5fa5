/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_RESULT_H
#define MMSCOPE_RESULT_H

/* VM_FAULT_ERROR, which is a macro in the kernel and so not in the type data. */
#define RESULT_ERROR                                         \
	(VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | \
	 VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE | VM_FAULT_FALLBACK)

#endif
