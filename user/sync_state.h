/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What sync.c and sync_start.c share. */
#ifndef SLUICE_SYNC_STATE_H
#define SLUICE_SYNC_STATE_H

#include "sync.h"
#include "sync_table.h"

struct sync {
	struct kernel *kernel;
	struct store *store;
	struct sync_table table;
	struct store_usage *changed; /* room for one of each slot */
};

/* Let go without saving. */
void sync_free(struct sync *sync);

/* What the kernel is to hold of a key in that slot. */
void sync_policy(const struct key_record *record, uint32_t slot, struct key_policy *ret_policy);

#endif
