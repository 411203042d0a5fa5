// SPDX-License-Identifier: GPL-2.0
/* What the processor and its other users of page tables add: protection keys, membarrier, KVM. */
#include <linux/kvm.h>
#include <linux/membarrier.h>
#include <sys/ioctl.h>

#include "scenario.h"

#define SIZE (8 * MIB)

#ifndef SEGV_PKUERR
#define SEGV_PKUERR 4
#endif

/* a key is a process's own: the VMA that gets one leaves */
SCENARIO(pkey_range, "SCM-6,SCM-15,SCM-16")
{
	int fd = stamped_file(SIZE), key = pkey_alloc(0, 0);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, RW, fd, 0);

	sum_all(other, SIZE);
	must(s, "pkey_alloc", key > 0, 1);
	must(s, "pkey_mprotect",
	     err(pkey_mprotect(map + RANGE, RANGE, RW, key)), 0);
	must(s, "allowed", try_write(map + 3 * MIB, 3 * MIB / PAGE + 1), 0);
	NEED(!pkey_set(key, PKEY_DISABLE_WRITE));
	must(s, "write", try_write(map + 3 * MIB, 1),
	     RAISED(SIGSEGV, SEGV_PKUERR));
	/* a signal handler that is left by a jump leaves its own rights behind */
	NEED(!pkey_set(key, PKEY_DISABLE_WRITE));
	must(s, "read", try_read(map + 3 * MIB), 0);
	NEED(!pkey_set(key, PKEY_DISABLE_ACCESS));
	must(s, "read_denied", try_read(map + 3 * MIB),
	     RAISED(SIGSEGV, SEGV_PKUERR));
	must(s, "beside", try_write(map + 4 * MIB, 4 * MIB / PAGE + 1), 0);
	/* the other mapping has no key */
	must(s, "other", try_write(other + 3 * MIB, 3 * MIB / PAGE + 1), 0);
	NEED(!pkey_set(key, 0));
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1011");
	relinks(s, "links_other", other, "1111");
	must(s, "key_back", err(pkey_mprotect(map + RANGE, RANGE, RW, 0)), 0);
	must(s, "pkey_free", err(pkey_free(key)), 0);
	must(s, "write_after", try_write(map + 3 * MIB, 5), 0);
}

SCENARIO(pkey_page, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE), key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "pkey_mprotect",
	     err(pkey_mprotect(map + 3 * MIB, PAGE, RW, key)), 0);
	must(s, "write", try_write(map + 3 * MIB, 1),
	     RAISED(SIGSEGV, SEGV_PKUERR));
	must(s, "beside", try_write(map + 3 * MIB + PAGE, 3 * MIB / PAGE + 2),
	     0);
	NEED(!pkey_set(key, PKEY_DISABLE_WRITE));
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1011");
}

/* memory that can only be executed is made with a key too */
SCENARIO(execute_only, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "mprotect", err(mprotect(map + RANGE, RANGE, PROT_EXEC)), 0);
	must(s, "read", try_read(map + 3 * MIB), RAISED(SIGSEGV, SEGV_PKUERR));
	must(s, "back", err(mprotect(map + RANGE, RANGE, RW)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1?11");
}

SCENARIO(membarrier_commands, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "register",
	     err(syscall(SYS_membarrier,
			 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0)),
	     0);
	must(s, "private",
	     err(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0,
			 0)),
	     0);
	must(s, "global",
	     err(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0)), 0);
	links(s, "links", map, "1111");
}

/* a second user of this process's tables would not hear of the unit's changes */
SCENARIO(kvm_makes_leave, "SCM-6,SCM-20")
{
	int fd = stamped_file(SIZE), kvm, vm;
	char *map = map_touched(s, SIZE, RW, fd), *late;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	must(s, "kvm", kvm >= 0, 1);
	if (kvm < 0)
		return;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	must(s, "vm", vm >= 0, 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "0000");
	if (s->linked)
		NEED(!scome_set(SCOME_ON, RANGE));
	late = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	if (s->linked)
		NEED(!scome_set(SCOME_OFF, 0));
	NEED(late != MAP_FAILED);
	must(s, "sum_late", sum_all(late, SIZE), stamp_sum(0, SIZE));
	links(s, "links_late", (char *)(((uintptr_t)late + RANGE - 1) & -RANGE),
	      "000");
	set_word(late + MIB, 5);
	must(s, "coherent", word(map + MIB), 5);
	close(vm);
	close(kvm);
}

/* one instruction of a guest whose memory this mapping is: hlt */
SCENARIO(kvm_guest_memory, "SCM-20")
{
	int fd = memory_file(SIZE), kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct kvm_userspace_memory_region region = { .memory_size = SIZE };
	char *map = map_side(s, SIZE, RW, fd, 0), *other;
	struct kvm_sregs segments;
	struct kvm_regs registers = { .rip = 0x1000, .rflags = 2 };
	struct kvm_run *run;
	int vm, cpu;

	/* mov $0x2000, %bx; movb $42, (%bx); hlt, in real mode */
	static const unsigned char program[] = { 0xbb, 0x00, 0x20, 0xc6,
						 0x07, 42,   0xf4 };

	must(s, "kvm", kvm >= 0, 1);
	if (kvm < 0)
		return;
	stamp_all(map, SIZE);
	memcpy(map + 0x1000, program, sizeof(program));
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	NEED(vm >= 0);
	region.userspace_addr = (uintptr_t)map;
	must(s, "memory", err(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region)),
	     0);
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	NEED(cpu >= 0);
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), RW, MAP_SHARED,
		   cpu, 0);
	NEED(run != MAP_FAILED && !ioctl(cpu, KVM_GET_SREGS, &segments));
	segments.cs.base = 0;
	segments.cs.selector = 0;
	NEED(!ioctl(cpu, KVM_SET_SREGS, &segments));
	NEED(!ioctl(cpu, KVM_SET_REGS, &registers));
	must(s, "run", err(ioctl(cpu, KVM_RUN, 0)), 0);
	must(s, "halted", run->exit_reason, KVM_EXIT_HLT);
	must(s, "guest_wrote", map[0x2000], 42);
	/* the guest's page is taken away: it must see the new one */
	NEED(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0x2000,
			PAGE));
	must(s, "punched", map[0x2000], 0);
	NEED(!ioctl(cpu, KVM_SET_REGS, &registers));
	must(s, "run_again", err(ioctl(cpu, KVM_RUN, 0)), 0);
	must(s, "guest_wrote_again", map[0x2000], 42);
	other = map_ordinary(SIZE, PROT_READ, fd, 0);
	must(s, "in_file", other[0x2000], 42);
	close(cpu);
	close(vm);
	close(kvm);
}

TEST_HARNESS_MAIN
