/* SPDX-License-Identifier: GPL-2.0 */
/* How numbers and names are written in columns. */
#ifndef MMSCOPE_FORMAT_H
#define MMSCOPE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

/**
 * format_range() - a range of powers of two, "[512, 1K)" for 9; K, M, G are
 * powers of 1024
 * @power: the range is [2^power, 2^(power+1)), the first one begins at 0
 * @last: the range has no end from this one on
 */
void format_range(char *buf, size_t size, unsigned int power,
		  unsigned int last);

/**
 * format_number() - a number in at most @width characters, four or more
 *
 * Whole where that fits, otherwise with k, M, G, T, P or E (powers of 1000).
 * What is below ten has one decimal when @decimal is set.
 */
void format_number(char *buf, size_t size, double value, int width,
		   bool decimal);

/**
 * cut_text() - as much of a text as fits in @width columns
 *
 * What does not print in the current locale becomes a question mark.
 *
 * Return: the columns that are left.
 */
int cut_text(char *buf, size_t size, const char *text, int width);

/** pad_text() - cut_text(), filled up with spaces */
void pad_text(char *buf, size_t size, const char *text, int width);

#endif
