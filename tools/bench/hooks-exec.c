// SPDX-License-Identifier: GPL-2.0
/*
 * bench-hooks-exec ROUNDS FD [START]: execute itself ROUNDS times. Each new
 * program reads the counter first of all and writes the time before the
 * execve and the time after it to FD. It has no library, so that what is counted is the kernel.
 */
#include <stdint.h>
#include <sys/syscall.h>

#define DIGITS 16

static long call(long number, long a, long b, long c)
{
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return result;
}

static void __attribute__((noreturn)) leave(int status)
{
	for (;;)
		call(SYS_exit_group, status, 0, 0);
}

static unsigned long decimal(const char *text)
{
	unsigned long value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + *text++ - '0';
	return value;
}

static uint64_t hexadecimal(const char *text)
{
	uint64_t value = 0;

	for (; *text; text++)
		value = value << 4 |
			(*text <= '9' ? *text - '0' : *text - 'a' + 10);
	return value;
}

/* all of them, so that each execve copies as many bytes */
static void write_hexadecimal(char *text, uint64_t value)
{
	int i;

	for (i = DIGITS - 1; i >= 0; i--, value >>= 4)
		text[i] = "0123456789abcdef"[value & 15];
	text[DIGITS] = 0;
}

static void write_decimal(char *text, unsigned long value)
{
	int i;

	for (i = 7; i >= 0; i--, value /= 10)
		text[i] = '0' + value % 10;
	text[8] = 0;
}

static inline uint64_t now(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

void __attribute__((noreturn, used)) run(uint64_t end, long *stack)
{
	char start_text[DIGITS + 1], rounds_text[9];
	char **argv = (char **)(stack + 1);
	char *environment[] = { 0 };
	unsigned long rounds;
	uint64_t times[2];

	if (stack[0] != 3 && stack[0] != 4)
		leave(2);
	rounds = decimal(argv[1]);
	if (stack[0] == 4) {
		times[0] = hexadecimal(argv[3]);
		times[1] = end;
		if (call(SYS_write, decimal(argv[2]), (long)times,
			 sizeof(times)) != sizeof(times))
			leave(1);
		if (!--rounds)
			leave(0);
	}
	write_decimal(rounds_text, rounds);

	char *next[] = { argv[0], rounds_text, argv[2], start_text, 0 };

	write_hexadecimal(start_text, now());
	call(SYS_execve, (long)argv[0], (long)next, (long)environment);
	leave(1);
}

asm(".globl _start\n"
    "_start:\n\t"
    "rdtsc\n\t"
    "shlq $32, %rdx\n\t"
    "orq %rdx, %rax\n\t"
    "movq %rax, %rdi\n\t"
    "movq %rsp, %rsi\n\t"
    "xorl %ebp, %ebp\n\t"
    "andq $-16, %rsp\n\t"
    "call run\n");
