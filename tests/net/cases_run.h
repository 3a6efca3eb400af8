/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs that send the table of cases have in common: every section in every mode is one
 * promise.
 */
#ifndef SLUICE_TESTS_NET_CASES_RUN_H
#define SLUICE_TESTS_NET_CASES_RUN_H

#include "cases_made.h"

/* A section of the table. */
struct table {
	const char *name;
	const struct row *rows;
	size_t count;
	enum section section;
};

/*
 * The main of such a program. Its arguments are texts: only rows, and promises, whose name holds
 * them. Returns the exit status.
 */
int run_tables(const struct table *tables, size_t count, int argc, char **argv);

#endif
