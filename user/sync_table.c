// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which key has which slot, and which slots are free. */
#include "sync_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

int sync_table_open(struct sync_table *ret_table, uint32_t slots)
{
	struct sync_table table = { .slots = slots };
	uint32_t buckets = 1;

	while (buckets < slots && buckets < 1U << 31)
		buckets *= 2;
	table.bucket_mask = buckets - 1;
	table.entries = calloc(slots, sizeof(*table.entries));
	table.free = calloc(slots, sizeof(*table.free));
	table.buckets = malloc(buckets * sizeof(*table.buckets));
	if (!table.entries || !table.free || !table.buckets) {
		sync_table_close(&table);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < buckets; i++)
		table.buckets[i] = NO_SLOT;
	*ret_table = table;
	return 0;
}

void sync_table_close(struct sync_table *table)
{
	free(table->entries);
	free(table->free);
	free(table->buckets);
}

/* Digests are keyed hashes: nobody can choose them to share a bucket. */
static uint32_t *bucket_of(const struct sync_table *table, const struct key_digest *digest)
{
	uint32_t start;

	memcpy(&start, digest->bytes, sizeof(start));
	return &table->buckets[start & table->bucket_mask];
}

struct sync_entry *sync_table_find(const struct sync_table *table, const struct key_digest *digest)
{
	struct sync_entry *entry;

	for (uint32_t slot = *bucket_of(table, digest); slot != NO_SLOT; slot = entry->next) {
		entry = &table->entries[slot];
		if (memcmp(&entry->digest, digest, sizeof(*digest)) == 0)
			return entry;
	}
	return NULL;
}

int sync_table_allocate(struct sync_table *table, uint32_t *ret_slot)
{
	const struct free_slot *oldest = &table->free[table->free_first];

	if (!table->free_count)
		return -E2BIG;
	if (oldest->usable_s && oldest->usable_s * 1000ULL > boottime_ms())
		return -EAGAIN;
	*ret_slot = oldest->slot;
	table->free_first = (table->free_first + 1) % table->slots;
	table->free_count--;
	if (table->rested)
		table->rested--;
	return 0;
}

bool sync_table_rested(struct sync_table *table, uint32_t *ret_slot)
{
	const struct free_slot *next =
		&table->free[((uint64_t)table->free_first + table->rested) % table->slots];

	if (table->rested == table->free_count || next->usable_s * 1000ULL > boottime_ms())
		return false;
	*ret_slot = next->slot;
	table->rested++;
	return true;
}

void sync_table_free(struct sync_table *table, uint32_t slot, bool rest)
{
	uint32_t place =
		(uint32_t)(((uint64_t)table->free_first + table->free_count) % table->slots);

	table->free[place] = (struct free_slot){
		.slot = slot,
		.usable_s = rest ? (boottime_ms() + SLOT_REST_MS + 999) / 1000 : 0,
	};
	if (!rest && table->rested == table->free_count)
		table->rested++;
	table->free_count++;
}

void sync_table_note(struct sync_entry *entry, const struct key_record *record)
{
	entry->expires_ms = record->expires_ms;
	entry->number = record->number;
	entry->saved = record->admitted + record->refused;
}

void sync_table_enter(struct sync_table *table, uint32_t slot, const struct key_record *record)
{
	struct sync_entry *entry = &table->entries[slot];
	uint32_t *bucket = bucket_of(table, &record->digest);

	*entry = (struct sync_entry){
		.taken = true,
		.next = *bucket,
		.digest = record->digest,
	};
	sync_table_note(entry, record);
	*bucket = slot;
	if (table->end <= slot)
		table->end = slot + 1;
}

void sync_table_drop(struct sync_table *table, uint32_t slot)
{
	struct sync_entry *entry = &table->entries[slot];
	uint32_t *link = bucket_of(table, &entry->digest);

	while (*link != slot)
		link = &table->entries[*link].next;
	*link = entry->next;
	*entry = (struct sync_entry){ 0 };
}
