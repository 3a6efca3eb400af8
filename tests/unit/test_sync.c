// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keys in force: what the store says is what the kernel enforces, and its counts are kept. */
#include "sync.h"

#include "sync_stage.h"

/* --- one key ------------------------------------------------------------------------------------ */

static void a_key_is_in_force_with_all_that_the_kernel_needs(void **state)
{
	struct key_record record = store_key(1);
	const struct key_policy *policy;

	(void)state;
	record.expires_ms = 1899999999999;
	assert_int_equal(sync_put(joined, &record), 0);
	policy = policy_of(&record);
	assert_non_null(policy);
	assert_memory_equal(&policy->digest, &record.digest, sizeof(record.digest));
	assert_true(policy->expires_ms == record.expires_ms);
	assert_int_equal(policy->slot, record.slot);
	assert_int_equal(policy->per_minute, 60);
	assert_int_equal(policy->per_day, 1000);
	assert_int_not_equal(policy->version, 0);
	assert_int_equal(policy->version, usage_of(&record)->version);
	assert_memory_equal(policy->identity, "X-Key-Id: key_aaaaaa000001; account=acme ", 41);
	assert_int_equal(sync_count(joined), 1);
}

static void every_key_has_a_slot_of_its_own(void **state)
{
	bool seen[SLOTS] = { false };

	(void)state;
	for (int i = 0; i < SLOTS; i++) {
		struct key_record record = add_key(i);

		assert_true(record.slot < SLOTS);
		assert_false(seen[record.slot]);
		seen[record.slot] = true;
	}
}

static void a_full_table_takes_no_more_keys(void **state)
{
	struct key_record one_more;

	(void)state;
	for (int i = 0; i < SLOTS; i++)
		add_key(i);
	one_more = store_key(SLOTS);
	assert_int_equal(sync_put(joined, &one_more), -E2BIG);
	assert_null(policy_of(&one_more));
	assert_int_equal(sync_count(joined), SLOTS);
}

static void a_removed_key_is_out_of_force_at_once_and_others_stay(void **state)
{
	struct key_record gone = add_key(1), stays = add_key(2);

	(void)state;
	assert_int_equal(sync_remove(joined, &gone), 0);
	assert_null(policy_of(&gone));
	assert_non_null(policy_of(&stays));
	assert_int_equal(sync_remove(joined, &gone), 0);
	assert_int_equal(sync_count(joined), 1);
}

static void a_slot_rests_before_another_key_counts_on_it(void **state)
{
	struct key_record records[SLOTS], one_more;

	(void)state;
	for (int i = 0; i < SLOTS; i++)
		records[i] = add_key(i);
	assert_int_equal(sync_remove(joined, &records[3]), 0);
	one_more = store_key(SLOTS);
	assert_int_equal(sync_put(joined, &one_more), -EAGAIN);
	assert_null(policy_of(&one_more));
}

static void a_slot_is_wiped_before_its_next_key_is_put(void **state)
{
	struct key_record record = store_key(1);

	(void)state;
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		memset(&kernel->usage[slot], 0xff, sizeof(kernel->usage[slot]));
	assert_int_equal(sync_put(joined, &record), 0);
	assert_true(usage_of(&record)->windows == 0);
	assert_true(usage_of(&record)->last_used == 0);
	assert_true(usage_of(&record)->admitted == 0);
	assert_true(usage_of(&record)->refused == 0);
}

static void a_key_that_cannot_be_put_takes_no_slot(void **state)
{
	struct key_record record = store_key(1);

	(void)state;
	kernel->fail_put = ENOMEM;
	for (int i = 0; i < SLOTS * 2; i++)
		assert_int_equal(sync_put(joined, &record), -ENOMEM);
	kernel->fail_put = 0;
	assert_int_equal(sync_count(joined), 0);
	assert_int_equal(sync_put(joined, &record), 0);
}

static void changed_limits_keep_the_slot_and_what_is_used(void **state)
{
	struct key_record record = add_key(1);
	uint32_t slot = record.slot;

	(void)state;
	use(&record, 77, 5);
	record.per_minute = 1;
	record.slot = KEY_NO_SLOT;
	assert_int_equal(sync_change(joined, &record), 0);
	assert_int_equal(policy_of(&record)->per_minute, 1);
	assert_int_equal(policy_of(&record)->slot, slot);
	assert_true(usage_of(&record)->windows == USED(77));
}

static uint32_t version_met; /* by a change of the kernel's keys */
static uint32_t watched;

static void note_version_at_put(const struct key_policy *policy)
{
	version_met = kernel->usage[watched].version;
	assert_int_equal(policy->version, version_met);
}

static void note_version_at_removal(const struct key_digest *digest)
{
	(void)digest;
	version_met = kernel->usage[watched].version;
}

static void what_connections_remember_is_void_before_a_key_changes_or_goes(void **state)
{
	struct key_record record = add_key(1);
	uint32_t version = usage_of(&record)->version;

	(void)state;
	watched = record.slot;
	kernel->on_put = note_version_at_put;
	kernel->on_removal = note_version_at_removal;
	assert_int_equal(sync_change(joined, &record), 0);
	assert_int_equal(version_met, version + 1);
	kernel->usage[watched].version = UINT32_MAX;
	assert_int_equal(sync_change(joined, &record), 0);
	assert_int_equal(version_met, 1);
	assert_int_equal(sync_remove(joined, &record), 0);
	assert_int_equal(version_met, 2);
}

static void a_slots_next_key_has_another_version(void **state)
{
	struct key_record record = store_key(1);

	(void)state;
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		kernel->usage[slot].version = 7;
	assert_int_equal(sync_put(joined, &record), 0);
	assert_int_equal(policy_of(&record)->version, 8);
}

static void a_key_that_is_not_in_force_is_not_put_by_a_change(void **state)
{
	struct key_record record = store_key(1);

	(void)state;
	assert_int_equal(sync_change(joined, &record), 0);
	assert_null(policy_of(&record));
}

static void a_peek_shows_what_the_kernel_counted(void **state)
{
	struct key_record record = add_key(1), stored;

	(void)state;
	use(&record, 77, 5);
	stored = read_back(&record);
	sync_peek(joined, &stored);
	assert_true(stored.windows == USED(77) && stored.admitted == 5);
	assert_true(stored.last_used_ms == USED_MS);
	assert_int_equal(stored.slot, record.slot);
}

static void a_removal_that_fails_is_tried_again_by_the_sweep(void **state)
{
	struct key_record record = add_key(1);

	(void)state;
	kernel->fail_removal = EIO;
	assert_int_equal(sync_remove(joined, &record), -EIO);
	assert_int_equal(sync_sweep(joined, now_ms()), -EIO);
	kernel->fail_removal = 0;
	assert_int_equal(sync_sweep(joined, now_ms()), 0);
	assert_null(policy_of(&record));
	assert_int_equal(sync_count(joined), 0);
}

/* --- usage and expiry ---------------------------------------------------------------------------- */

static void only_changed_usage_is_saved(void **state)
{
	struct key_record idle = add_key(1), busy = add_key(2), stored;

	(void)state;
	use(&busy, 77, 5);
	assert_int_equal(sync_save_usage(joined), 0);
	stored = read_back(&busy);
	assert_true(stored.windows == USED(77) && stored.admitted == 5);

	/* A value that only the store has survives where nothing was counted. */
	assert_int_equal(
		store_save_usage(store,
				 &(struct store_usage){ .number = idle.number, .admitted = 9 }, 1),
		0);
	assert_int_equal(
		store_save_usage(store,
				 &(struct store_usage){ .number = busy.number, .admitted = 9 }, 1),
		0);
	assert_int_equal(sync_save_usage(joined), 0);
	stored = read_back(&idle);
	assert_true(stored.admitted == 9);
	stored = read_back(&busy);
	assert_true(stored.admitted == 9);
}

static void usage_counted_up_to_a_removal_is_saved(void **state)
{
	struct key_record record = add_key(1), stored;

	(void)state;
	sync_peek(joined, &record);
	assert_int_equal(store_revoke(store, &record), 0);
	use(&record, 78, 6);
	assert_int_equal(sync_remove(joined, &record), 0);
	stored = read_back(&record);
	assert_true(stored.windows == USED(78) && stored.admitted == 6);
	assert_int_equal(stored.status, KEY_REVOKED);
}

static void usage_that_cannot_be_saved_now_is_saved_later(void **state)
{
	struct key_record record = add_key(1), stored;
	sqlite3 *other;

	(void)state;
	use(&record, 77, 5);
	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sync_save_usage(joined), -EBUSY);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(sync_save_usage(joined), 0);
	stored = read_back(&record);
	assert_true(stored.windows == USED(77));
}

static void a_sweep_marks_what_is_due_and_nothing_else(void **state)
{
	struct key_record due = store_key(1), later = store_key(2), never = add_key(3), stored;
	uint64_t now = now_ms();

	(void)state;
	assert_int_equal(store_delete(store, due.id), 0);
	assert_int_equal(store_delete(store, later.id), 0);
	due.expires_ms = now + 1000;
	later.expires_ms = now + 1001;
	assert_int_equal(store_insert(store, &due), 0);
	assert_int_equal(store_insert(store, &later), 0);
	assert_int_equal(sync_put(joined, &due), 0);
	assert_int_equal(sync_put(joined, &later), 0);
	use(&due, 77, 5);

	assert_int_equal(sync_sweep(joined, now + 999), 0);
	assert_non_null(policy_of(&due));
	assert_int_equal(sync_sweep(joined, now + 1000), 0);
	assert_null(policy_of(&due));
	assert_non_null(policy_of(&later));
	assert_non_null(policy_of(&never));
	stored = read_back(&due);
	assert_int_equal(stored.status, KEY_EXPIRED);
	assert_true(stored.windows == USED(77) && stored.admitted == 5);
	stored = read_back(&later);
	assert_int_equal(stored.status, KEY_ACTIVE);
}

/* Its slot would go to another key while the store still has it as active. */
static void a_key_that_cannot_be_marked_expired_stays_until_it_can(void **state)
{
	struct key_record due = store_key(1);
	sqlite3 *other;

	(void)state;
	assert_int_equal(store_delete(store, due.id), 0);
	due.expires_ms = now_ms();
	assert_int_equal(store_insert(store, &due), 0);
	assert_int_equal(sync_put(joined, &due), 0);
	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sync_sweep(joined, due.expires_ms), -EBUSY);
	assert_non_null(policy_of(&due));
	assert_int_equal(kernel->removals, 0);
	assert_int_equal(sync_count(joined), 1);

	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(sync_sweep(joined, due.expires_ms), 0);
	assert_null(policy_of(&due));
	assert_int_equal(read_back(&due).status, KEY_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_stage(a_key_is_in_force_with_all_that_the_kernel_needs),
		on_stage(every_key_has_a_slot_of_its_own),
		on_stage(a_full_table_takes_no_more_keys),
		on_stage(a_removed_key_is_out_of_force_at_once_and_others_stay),
		on_stage(a_slot_rests_before_another_key_counts_on_it),
		on_stage(a_slot_is_wiped_before_its_next_key_is_put),
		on_stage(a_key_that_cannot_be_put_takes_no_slot),
		on_stage(changed_limits_keep_the_slot_and_what_is_used),
		on_stage(what_connections_remember_is_void_before_a_key_changes_or_goes),
		on_stage(a_slots_next_key_has_another_version),
		on_stage(a_key_that_is_not_in_force_is_not_put_by_a_change),
		on_stage(a_peek_shows_what_the_kernel_counted),
		on_stage(a_removal_that_fails_is_tried_again_by_the_sweep),
		on_stage(only_changed_usage_is_saved),
		on_stage(usage_counted_up_to_a_removal_is_saved),
		on_stage(usage_that_cannot_be_saved_now_is_saved_later),
		on_stage(a_sweep_marks_what_is_due_and_nothing_else),
		on_stage(a_key_that_cannot_be_marked_expired_stays_until_it_can),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
