/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What sync.c and sync_start.c share. */
#ifndef SLUICE_SYNC_STATE_H
#define SLUICE_SYNC_STATE_H

#include "sync.h"
#include "sync_table.h"

/* Usages that are saved together. */
#define SYNC_CHANGED_MAX 4096

struct sync {
	struct kernel *kernel;
	struct store *store;
	struct sync_table table;
	struct store_usage changed[SYNC_CHANGED_MAX];
};

/* Let go without saving. */
void sync_free(struct sync *sync);

/* What the kernel is to hold of a key in that slot, under that version. */
void sync_policy(const struct key_record *record, uint32_t slot, uint32_t version,
		 struct key_policy *ret_policy);

/*
 * Have connections forget what they remember of the key in that slot: before its record is changed or
 * removed, or the slot given to another key (abi.h). Returns the slot's new version.
 */
uint32_t sync_renew(struct sync *sync, uint32_t slot);

/* Take a key out of the kernel's, which connections forget before. Its slot may be out of the table. */
int sync_take_out(struct sync *sync, uint32_t slot, const struct key_digest *digest);

#endif
