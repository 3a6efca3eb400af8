/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows of the table of cases that are made at run time.
 */
#ifndef SLUICE_TESTS_NET_CASES_MADE_H
#define SLUICE_TESTS_NET_CASES_MADE_H

#include "cases.h"

/* The sections of the contract's cases. */
enum section {
	LINES,
	REQUEST_LINE,
	FRAMING,
	CHUNKED_BODIES,
	AUTHORIZATION,
	CONNECTIONS,
	SECTIONS,
};

/* Rows that were made; the rows, and what is in them, are on the heap. */
struct rows {
	struct row *rows;
	size_t count;
};

void rows_free(struct rows *rows);

/* Add a copy of a row and of all that it points to. */
void rows_add(struct rows *rows, const struct row *row);

/*
 * Add the heads of the corpus (tests/parity/http_corpus.h) that belong to the section, each as it
 * is, with a good key in several places, and with good requests around it.
 */
void rows_add_corpus(struct rows *rows, enum section section);

/* Add the rows of the section that are too long to be written down. */
void rows_add_long(struct rows *rows, enum section section);

#endif
