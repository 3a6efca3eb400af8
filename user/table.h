/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Aligned columns for people. Colour, and clipping to the window, on a terminal only.
 */
#ifndef SLUICE_TABLE_H
#define SLUICE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct table;

struct table_column {
	const char *title; /* NULL in the first column: the table has no line of titles */
	bool right;	   /* align to the right, for numbers */
};

enum table_tone {
	TABLE_PLAIN,
	TABLE_GOOD,
	TABLE_BAD,
	TABLE_FAINT,
};

/* columns must outlive the table. NULL where memory is short; the functions below take that. */
struct table *table_new(const struct table_column *columns, size_t column_count);
void table_free(struct table *table);

/*
 * Add a row; cells has one text per column and is copied. Control characters become '?', so that
 * nothing printed can steer a terminal. Where memory is short table_print() says so.
 */
void table_add(struct table *table, enum table_tone tone, const char *const *cells);

/* Returns 0 or -ENOMEM. */
int table_print(const struct table *table, FILE *to);

/* True where colour is wanted: a terminal, and NO_COLOR is not set. */
bool table_colour(FILE *to);

/* Room for any number with separators, "18,446,744,073,709,551,615". */
#define TABLE_NUMBER_SIZE 27

/* Write value with a comma between thousands; returns into. */
const char *table_number(uint64_t value, char into[TABLE_NUMBER_SIZE]);

#endif
