/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The store's tables, how a file of any earlier version gets them, and what goes wrong with its file.
 * For the store and its backups alone.
 */
#ifndef SLUICE_STORE_SCHEMA_H
#define SLUICE_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"

/* In the header of every store (SQLite's application_id): "SLUC". */
#define STORE_APPLICATION_ID 0x534c5543

/* steps[n] turns a file of version n into one of version n + 1. */
struct store_schema {
	const char *const *steps;
	int version; /* number of steps */
};

extern const struct store_schema store_schema;

/*
 * What a failure of SQLite means, as a negative errno: -EMEDIUMTYPE no database, -EUCLEAN damaged,
 * -EBUSY locked by another program, -ENOSPC, -EROFS, -ENOMEM, -EACCES, else -EIO.
 *
 * code	an extended result code
 */
int store_errno(sqlite3 *database, int code);

/*
 * Say what the database's last failure means for whoever runs the daemon, and what to do, calling
 * the file path. Returns store_errno().
 */
int store_explain(sqlite3 *database, const char *path, char *why, size_t why_size);

/*
 * See that a pepper is the one a store was made with. -EKEYREJECTED: it is another; -ENODATA: the
 * store knows of none; else store_errno().
 */
int store_check_pepper(sqlite3 *database, const uint8_t pepper[PEPPER_SIZE]);

/*
 * See that a file is ours and sound, without writing to it: an empty database, or a store of ours
 * that is not damaged and not newer than the schema.
 *
 * indexes	compare them with the tables, too, however large the store is: many times the work
 *
 * Otherwise returns -EMEDIUMTYPE (not ours), -EPROTO (newer), -EUCLEAN or -EIO, and why says what
 * is wrong and what to do, calling the file path.
 */
int store_schema_check(sqlite3 *database, const struct store_schema *schema, bool indexes,
		       const char *path, char *why, size_t why_size);

/* Bring a checked file up to the schema's version, each step whole or not at all. */
int store_schema_migrate(sqlite3 *database, const struct store_schema *schema, const char *path,
			 char *why, size_t why_size);

#endif
