/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The store's tables, and how a file of any earlier version gets them. For store.c alone. */
#ifndef SLUICE_STORE_SCHEMA_H
#define SLUICE_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

/* In the header of every store (SQLite's application_id): "SLUC". */
#define STORE_APPLICATION_ID 0x534c5543

/* steps[n] turns a file of version n into one of version n + 1. */
struct store_schema {
	const char *const *steps;
	int version; /* number of steps */
};

extern const struct store_schema store_schema;

/*
 * See that a file is ours and sound, without writing to it: an empty database, or a store of ours
 * that is not damaged and not newer than the schema.
 *
 * Otherwise returns -EMEDIUMTYPE (not ours), -EPROTO (newer), -EUCLEAN or -EIO, and why says what
 * is wrong and what to do, calling the file path.
 */
int store_schema_check(sqlite3 *database, const struct store_schema *schema, const char *path,
		       char *why, size_t why_size);

/* Bring a checked file up to the schema's version, each step whole or not at all. */
int store_schema_migrate(sqlite3 *database, const struct store_schema *schema, const char *path,
			 char *why, size_t why_size);

#endif
