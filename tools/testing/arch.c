// SPDX-License-Identifier: GPL-2.0
/* What the processor and its other users of page tables add: protection keys, membarrier, KVM. */
#include <linux/kvm.h>
#include <linux/membarrier.h>
#include <pthread.h>
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

/* a virtual machine hears of the unit: its process stays linked, and links more */
SCENARIO(kvm_keeps_links, "SCM-6,SCM-20")
{
	int fd = stamped_file(SIZE), kvm, vm;
	char *map = map_touched(s, SIZE, RW, fd), *late;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	must(s, "kvm", kvm >= 0, 1);
	if (kvm < 0)
		return;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	must(s, "vm", vm >= 0, 1);
	links(s, "links", map, "1111");
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	late = map_side(s, SIZE, RW, fd, 0);
	must(s, "sum_late", sum_all(late, SIZE), stamp_sum(0, SIZE));
	links(s, "links_late", late, "1111");
	set_word(late + MIB, 5);
	must(s, "coherent", word(map + MIB), 5);
	close(vm);
	close(kvm);
	must(s, "punch", punch_hole(fd, 0, SIZE), 0);
	must(s, "zero", sum_all(map, SIZE), 0);
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
	relinks(s, "links", map, "1111");
	close(cpu);
	close(vm);
	close(kvm);
}

/* where the program of a running guest has what */
#define VALUE_AT 0x2000
#define COUNT_AT 0x3000

/*
 * in real mode, for ever: mov 0x2000, %ax; out %ax, $0x10; incw 0x3000. It sees the
 * memory through the tables of the virtual machine and leaves it to tell.
 */
static const unsigned char watcher[] = { 0xa1, 0x00, 0x20, 0xe7, 0x10, 0xff,
					 0x06, 0x00, 0x30, 0xeb, 0xf5 };

struct machine {
	int fd;
	int kvm, vm, cpu;
	struct kvm_run *run;
	pthread_t thread;
	volatile uint64_t turns;
	volatile uint16_t seen;
	volatile int failed;
	volatile int stop;
};

static void *machine_main(void *context)
{
	struct machine *machine = context;

	while (!machine->stop) {
		if (ioctl(machine->cpu, KVM_RUN, 0) ||
		    machine->run->exit_reason != KVM_EXIT_IO) {
			machine->failed = machine->run->exit_reason ?: errno;
			break;
		}
		machine->seen = *(uint16_t *)((char *)machine->run +
					      machine->run->io.data_offset);
		machine->turns++;
	}
	return NULL;
}

static bool start_machine(struct machine *machine, char *map)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = SIZE, .userspace_addr = (uintptr_t)map
	};
	struct kvm_regs registers = { .rip = 0x1000, .rflags = 2 };
	struct kvm_sregs segments;

	memcpy(map + 0x1000, watcher, sizeof(watcher));
	machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (machine->kvm < 0)
		return false;
	machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0);
	NEED(machine->vm >= 0);
	NEED(!ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region));
	machine->cpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
	NEED(machine->cpu >= 0);
	machine->run = mmap(NULL,
			    ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), RW,
			    MAP_SHARED, machine->cpu, 0);
	NEED(machine->run != MAP_FAILED);
	NEED(!ioctl(machine->cpu, KVM_GET_SREGS, &segments));
	segments.cs.base = 0;
	segments.cs.selector = 0;
	NEED(!ioctl(machine->cpu, KVM_SET_SREGS, &segments));
	NEED(!ioctl(machine->cpu, KVM_SET_REGS, &registers));
	NEED(!pthread_create(&machine->thread, NULL, machine_main, machine));
	return true;
}

/* what the guest sees after some more turns; -1 when it does not run any more */
static int guest_sees(struct machine *machine)
{
	uint64_t turns = machine->turns;

	while (machine->turns - turns < 20 && !machine->failed)
		usleep(100);
	return machine->failed ? -1 : machine->seen;
}

/* whether what is written to the file arrives in the guest */
static bool guest_follows(struct machine *machine)
{
	static uint16_t value = 1000;
	uint16_t wanted = ++value;

	NEED(pwrite(machine->fd, &wanted, 2, VALUE_AT) == 2);
	return guest_sees(machine) == wanted;
}

SCENARIO(kvm_guest_runs_on, "SCM-20")
{
	struct machine machine = { .fd = stamped_file(SIZE) };
	char *map = map_touched(s, SIZE, RW, machine.fd), *other;
	unsigned int good = 0, zero = 0;
	bool runs = start_machine(&machine, map);

	must(s, "kvm", runs, 1);
	if (!runs)
		return;
	must(s, "runs", guest_follows(&machine), 1);
	for (unsigned int i = 0; i < 20; i++) {
		NEED(!punch_hole(machine.fd, VALUE_AT, 2 * PAGE));
		zero += guest_sees(&machine) == 0;
		good += guest_follows(&machine);
	}
	must(s, "punched", zero, 20);
	must(s, "punched_and_written", good, 20);
	must(s, "guest_writes", *(volatile uint16_t *)(map + COUNT_AT) > 0, 1);

	good = 0;
	for (unsigned int i = 0; i < 5; i++) {
		NEED(!madvise(map, SIZE, MADV_PAGEOUT));
		good += guest_sees(&machine) > 0;
		good += guest_follows(&machine);
		NEED(!write_text("/proc/sys/vm/compact_memory", "1"));
		good += guest_follows(&machine);
		NEED(!madvise(map + VALUE_AT, PAGE, MADV_SOFT_OFFLINE));
		good += guest_follows(&machine);
	}
	must(s, "reclaimed_and_migrated", good, 20);
	links(s, "links", map, "1111");

	/* another table serves the guest's pages now, and then this one again */
	good = 0;
	for (unsigned int i = 0; i < 5; i++) {
		NEED(!mprotect(map + MIB, PAGE, PROT_READ));
		good += guest_follows(&machine);
		NEED(!punch_hole(machine.fd, VALUE_AT, PAGE));
		good += guest_sees(&machine) == 0;
		NEED(!mprotect(map + MIB, PAGE, RW));
		NEED(!punch_hole(machine.fd, VALUE_AT, PAGE));
		good += guest_sees(&machine) == 0;
		good += guest_follows(&machine);
	}
	must(s, "restricted", good, 20);
	relinks(s, "links_again", map, "1111");

	/* and a table of the process's own */
	NEED(!mlock(map + MIB, PAGE));
	must(s, "left", guest_follows(&machine), 1);
	NEED(!punch_hole(machine.fd, VALUE_AT, PAGE));
	must(s, "left_and_punched", guest_sees(&machine), 0);
	must(s, "left_and_written", guest_follows(&machine), 1);

	/* other memory in its place, in one step: it must not run into nothing */
	other = mmap(NULL, RANGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(other != MAP_FAILED);
	memcpy(other + 0x1000, watcher, sizeof(watcher));
	set_word(other + VALUE_AT, 77);
	NEED(mremap(other, RANGE, RANGE, MREMAP_MAYMOVE | MREMAP_FIXED, map) ==
	     map);
	must(s, "mapped_over", guest_sees(&machine), 77);
	must(s, "still_runs", machine.failed, 0);
	machine.stop = 1;
	NEED(!pthread_join(machine.thread, NULL));
	close(machine.cpu);
	close(machine.vm);
	close(machine.kvm);
}

TEST_HARNESS_MAIN
