/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Store to maps: what the store says of keys is put in force here, and nowhere else. The way back
 * is the kernel's counting, saved into the store.
 *
 * Slots of the usage table belong to sync; the store does not know them. In a kernel side that was
 * taken over, the maps say which key has which slot.
 *
 * One thread, the one that uses the store. Functions return 0 or a negative errno.
 */
#ifndef SLUICE_SYNC_H
#define SLUICE_SYNC_H

#include <stdint.h>

#include "kernel.h"
#include "keys.h"
#include "store.h"

struct sync;

/* What to do where the key table is full, as the end of a sentence. */
#define SYNC_MAKE_ROOM                                                                             \
	"raise max_keys in the configuration; a gate that stands keeps its size, so stop "         \
	"sluiced, run sluiced --remove, and start it."

/*
 * Make the kernel's keys equal to the store's: keys that are not the store's go, policies that
 * differ are written, missing keys are put. A key that was in force all along keeps its live
 * usage; another gets what the store has saved of it.
 *
 * kernel and store must outlive ret_sync. On failure why (why_size bytes) says what is wrong.
 * -E2BIG: more active keys than the kernel side has slots.
 */
int sync_start(struct kernel *kernel, struct store *store, struct sync **ret_sync, char *why,
	       size_t why_size);

/* Save usage a last time and let go; what is in force stays so. NULL is allowed. */
void sync_stop(struct sync *sync);

/*
 * Put a new key in force; record->slot is set. -E2BIG: no slot is free; -EAGAIN: the only free
 * ones were given back within the last seconds and could still be counted on.
 */
int sync_put(struct sync *sync, struct key_record *record);

/* Put a key's changed limits in force, at once and with what is already used. */
int sync_change(struct sync *sync, const struct key_record *record);

/*
 * Take a key out of force; its next request is refused when this returns 0. Not an error where it
 * is not in force. On failure sync_sweep() goes on trying.
 */
int sync_remove(struct sync *sync, const struct key_record *record);

/* Set a record's slot and usage to the live ones; left as they are where it is not in force. */
void sync_peek(const struct sync *sync, struct key_record *record);

/*
 * Mark keys expired whose time has come (milliseconds since the epoch), and give back their
 * slots. The kernel has been refusing them since that very millisecond. Called every second.
 */
int sync_sweep(struct sync *sync, uint64_t at_ms);

/* Save into the store what was counted since the last time. Costs little where nothing was. */
int sync_save_usage(struct sync *sync);

/* Number of keys in force. */
uint32_t sync_count(const struct sync *sync);

#endif
