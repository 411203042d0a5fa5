// SPDX-License-Identifier: GPL-2.0
/* Accesses that may fail: 0, or the signal and its code. */
#include <setjmp.h>

#include "stress.h"

static sigjmp_buf failed;
static volatile sig_atomic_t accessing;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct sigaction fatal = { .sa_handler = SIG_DFL };

	(void)context;
	if (!accessing) {
		/* not ours: again, and this time it kills */
		sigaction(signal, &fatal, NULL);
		return;
	}
	/* a handler begins with the rights that a process begins with */
	if (me.key > 0)
		pkey_set(me.key, me.key_rights);
	siglongjmp(failed, RAISED(signal, info->si_code));
}

void access_setup(void)
{
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/* the words of all workers */
int try_read_page(const char *address, char *copy)
{
	int raised;

	accessing = 1;
	raised = sigsetjmp(failed, 0);
	if (!raised)
		for (unsigned int i = 0; i < control->workers; i++)
			*(uint64_t *)(copy + word_at(i)) =
				*(const volatile uint64_t *)(address +
							     word_at(i));
	accessing = 0;
	return raised;
}

int try_write(char *address, uint64_t value)
{
	int raised;

	accessing = 1;
	raised = sigsetjmp(failed, 0);
	if (!raised)
		*(volatile uint64_t *)address = value;
	accessing = 0;
	return raised;
}
