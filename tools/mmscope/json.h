/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_JSON_H
#define MMSCOPE_JSON_H

#include <stdio.h>

/**
 * json_string() - print a string as JSON, quotes included
 * @out: where to
 * @text: any bytes; what is not UTF-8 comes out as U+FFFD
 */
void json_string(FILE *out, const char *text);

#endif
