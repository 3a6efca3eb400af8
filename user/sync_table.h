/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which key has which slot of the kernel's usage table, and which slots are free. For sync*.c
 * alone. Neither store nor kernel is touched here.
 */
#ifndef SLUICE_SYNC_TABLE_H
#define SLUICE_SYNC_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "keys.h"
#include "store.h"

/*
 * How long a slot that was given back stays unused, in milliseconds. A program that read the
 * former key's policy before it went may still count on the slot; it is done within microseconds.
 */
#define SLOT_REST_MS 3000

#define NO_SLOT KEY_NO_SLOT

/* A key that is in force, at its slot's index. */
struct sync_entry {
	bool taken;
	bool leaving;  /* to be taken out of force; the kernel could not be told yet */
	uint32_t next; /* slot of the next key in the bucket */
	struct key_digest digest;
	uint64_t expires_ms;
	int64_t number; /* the store's record */
	/*
	 * Requests admitted and refused in all, as the store has them: where that has not changed, nothing
	 * was counted.
	 */
	uint64_t saved;
};

struct free_slot {
	uint32_t slot;
	uint32_t usable_s; /* CLOCK_BOOTTIME; 0: always */
};

struct sync_table {
	struct sync_entry *entries;
	uint32_t slots;
	uint32_t end;	   /* behind the last slot that ever held a key */
	uint32_t *buckets; /* first slot of the keys whose digests begin alike */
	uint32_t bucket_mask;
	struct free_slot *free; /* a ring of `slots` places, the longest free first */
	uint32_t free_first;
	uint32_t free_count;
	uint32_t
		rested; /* of them, from the first on: nothing is to be done about their rest any more */
};

/* A table in which no slot is taken, and none is free either: sync_table_free() makes them so. */
int sync_table_open(struct sync_table *ret_table, uint32_t slots);
void sync_table_close(struct sync_table *table);

/* The key of that digest, or NULL; its slot is its index in entries. */
struct sync_entry *sync_table_find(const struct sync_table *table, const struct key_digest *digest);

/*
 * Take the slot that has been free for longest. -E2BIG: none is free; -EAGAIN: those that are
 * have been so for less than SLOT_REST_MS.
 */
int sync_table_allocate(struct sync_table *table, uint32_t *ret_slot);

/* Give a slot back that holds no key; rest: a program may still count on it. */
void sync_table_free(struct sync_table *table, uint32_t slot, bool rest);

/* The next slot that has rested since it was given back, told once; false: none has. */
bool sync_table_rested(struct sync_table *table, uint32_t *ret_slot);

/* Note what the store says of an entry's key. */
void sync_table_note(struct sync_entry *entry, const struct key_record *record);

/* Enter a key at a slot that is its own, or take it out again. */
void sync_table_enter(struct sync_table *table, uint32_t slot, const struct key_record *record);
void sync_table_drop(struct sync_table *table, uint32_t slot);

#endif
