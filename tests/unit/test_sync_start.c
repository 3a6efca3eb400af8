// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A start: what is in force becomes what the store says, and no count is lost. */
#include "sync.h"

#include <unistd.h>

#include "sync_stage.h"
#include "sync_table.h"

/* --- start -------------------------------------------------------------------------------------- */

static double seconds_since(uint64_t from_us)
{
	return (monotonic_us() - from_us) / 1e6;
}

static void a_restart_writes_nothing_that_is_right_already(void **state)
{
	struct key_record record = add_key(1);

	(void)state;
	add_key(2);
	stop();
	assert_int_equal(start(), 0);
	assert_int_equal(kernel->puts, 0);
	assert_int_equal(kernel->removals, 0);
	assert_int_equal(sync_count(joined), 2);
	assert_int_equal(sync_remove(joined, &record), 0);
	assert_null(policy_of(&record));
}

static void counts_made_while_no_daemon_ran_are_kept(void **state)
{
	struct key_record record = add_key(1), stored;

	(void)state;
	use(&record, 77, 5);
	stop();
	use(&record, 99, 27);
	assert_int_equal(start(), 0);
	assert_true(usage_of(&record)->windows == USED(99));
	assert_int_equal(sync_save_usage(joined), 0);
	stored = read_back(&record);
	assert_true(stored.windows == USED(99) && stored.admitted == 27);
}

static void counts_survive_a_reboot(void **state)
{
	struct key_record record = add_key(1);

	(void)state;
	add_key(2);
	use(&record, 77, 5);
	stop();
	boot(SLOTS);
	assert_int_equal(start(), 0);
	assert_int_equal(sync_count(joined), 2);
	assert_true(usage_of(&record)->windows == USED(77));
	assert_true(usage_of(&record)->admitted == 5);
	assert_true(usage_of(&record)->last_used == (uint32_t)USED_MS);
}

/* The usage must be there when the key is: otherwise a request could be counted from zero. */
static uint64_t windows_at_put;

static void note_windows(const struct key_policy *policy)
{
	windows_at_put = kernel->usage[policy->slot].windows;
}

static void usage_is_restored_before_its_key_is_in_force(void **state)
{
	struct key_record record = add_key(1);

	(void)state;
	use(&record, 77, 5);
	stop();
	boot(SLOTS);
	kernel->on_put = note_windows;
	assert_int_equal(start(), 0);
	assert_true(windows_at_put == USED(77));
}

static void keys_that_are_not_the_stores_go(void **state)
{
	struct key_record unknown = add_key(1), revoked = add_key(2), stays = add_key(3);
	uint32_t version = usage_of(&revoked)->version, slot = revoked.slot;

	(void)state;
	stop();
	assert_int_equal(store_delete(store, unknown.id), 0);
	assert_int_equal(store_revoke(store, &revoked), 0);
	assert_int_equal(start(), 0);
	assert_null(policy_of(&unknown));
	assert_null(policy_of(&revoked));
	assert_int_equal(kernel->usage[slot].version, version + 1);
	assert_non_null(policy_of(&stays));
	assert_int_equal(kernel->puts, 0);
	assert_int_equal(sync_count(joined), 1);
}

static void a_key_that_was_stored_but_not_put_is_put(void **state)
{
	struct key_record record;

	(void)state;
	stop();
	record = store_key(1);
	assert_int_equal(start(), 0);
	assert_non_null(policy_of(&record));
}

static void a_policy_that_differs_is_written_and_keeps_its_usage(void **state)
{
	struct key_record record = add_key(1);

	(void)state;
	add_key(2);
	use(&record, 77, 5);
	stop();
	record.per_day = 7;
	assert_int_equal(store_update(store, &record), 0);
	assert_int_equal(start(), 0);
	assert_int_equal(kernel->puts, 1);
	assert_int_equal(policy_of(&record)->per_day, 7);
	assert_true(usage_of(&record)->windows == USED(77));
}

/* Killed between the slot's new version and the record, which was the same or another. */
static void a_change_that_was_cut_short_is_made_whole(void **state)
{
	struct key_record record = add_key(1);
	uint32_t version = usage_of(&record)->version;

	(void)state;
	stop();
	usage_of(&record)->version++;
	assert_int_equal(start(), 0);
	assert_int_equal(kernel->puts, 1);
	assert_int_equal(policy_of(&record)->version, version + 2);
	assert_int_equal(usage_of(&record)->version, version + 2);
}

static void two_keys_found_on_one_slot_are_parted(void **state)
{
	struct key_record first = add_key(1), second = add_key(2);
	struct key_policy policy = *policy_of(&second);

	(void)state;
	stop();
	policy.slot = first.slot;
	assert_int_equal(kernel_put_key(kernel, &policy), 0);
	assert_int_equal(start(), 0);
	assert_non_null(policy_of(&first));
	assert_non_null(policy_of(&second));
	assert_int_not_equal(policy_of(&first)->slot, policy_of(&second)->slot);
}

static void a_slot_outside_the_table_is_replaced(void **state)
{
	struct key_record record = add_key(1);
	struct key_policy policy = *policy_of(&record);

	(void)state;
	use(&record, 77, 5);
	stop();
	policy.slot = SLOTS;
	assert_int_equal(kernel_put_key(kernel, &policy), 0);
	assert_int_equal(start(), 0);
	assert_true(policy_of(&record)->slot < SLOTS);
	assert_true(usage_of(&record)->windows == USED(77));
}

static void a_key_that_expired_while_no_daemon_ran_is_marked(void **state)
{
	struct key_record put = store_key(1), only_stored = store_key(2), stored;

	(void)state;
	assert_int_equal(store_delete(store, put.id), 0);
	assert_int_equal(store_delete(store, only_stored.id), 0);
	put.expires_ms = now_ms() - 1;
	only_stored.expires_ms = put.expires_ms;
	assert_int_equal(store_insert(store, &put), 0);
	assert_int_equal(sync_put(joined, &put), 0);
	stop();
	assert_int_equal(store_insert(store, &only_stored), 0);
	use(&put, 77, 5);
	assert_int_equal(start(), 0);
	assert_null(policy_of(&put));
	assert_null(policy_of(&only_stored));
	assert_int_equal(sync_count(joined), 0);
	stored = read_back(&put);
	assert_int_equal(stored.status, KEY_EXPIRED);
	assert_true(stored.admitted == 5);
	stored = read_back(&only_stored);
	assert_int_equal(stored.status, KEY_EXPIRED);
}

static void a_key_side_too_small_for_the_store_is_reported(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		add_key(i);
	stop();
	boot(4);
	assert_int_equal(start(), -E2BIG);
	assert_non_null(strstr(why, "5 active keys"));
	assert_non_null(strstr(why, "room for 4"));
	assert_non_null(strstr(why, "raise max_keys"));
	assert_non_null(strstr(why, "sluiced --remove"));
}

/* Have a key in every slot, all of them used. */
static void fill(struct key_record records[SLOTS])
{
	for (int i = 0; i < SLOTS; i++) {
		records[i] = add_key(i);
		use(&records[i], 77, 5);
	}
}

static void a_start_waits_for_a_slot_to_rest_rather_than_share_it(void **state)
{
	struct key_record records[SLOTS], one_more;
	uint64_t from_us;

	(void)state;
	fill(records);
	stop();
	assert_int_equal(store_revoke(store, &records[3]), 0);
	one_more = store_key(SLOTS);
	from_us = monotonic_us();
	assert_int_equal(start(), 0);
	assert_true(seconds_since(from_us) > 1);
	assert_int_equal(policy_of(&one_more)->slot, records[3].slot);
	assert_true(usage_of(&one_more)->windows == 0);
}

/* Else none could be made for some seconds where as many were revoked as there is room for, however long ago. */
static void a_slot_that_has_rested_is_free_at_the_next_start(void **state)
{
	struct key_record records[SLOTS], one_more;
	uint64_t from_us;

	(void)state;
	fill(records);
	assert_int_equal(store_revoke(store, &records[3]), 0);
	assert_int_equal(sync_remove(joined, &records[3]), 0);
	assert_int_equal(sync_sweep(joined, now_ms()), 0);
	assert_true(kernel->usage[records[3].slot].windows == USED(77));
	usleep((SLOT_REST_MS + 1000) * 1000);
	assert_int_equal(sync_sweep(joined, now_ms()), 0);
	stop();
	one_more = store_key(SLOTS);
	from_us = monotonic_us();
	assert_int_equal(start(), 0);
	assert_true(seconds_since(from_us) < 1);
	assert_int_equal(policy_of(&one_more)->slot, records[3].slot);
}

static void a_kernel_side_that_fails_is_reported(void **state)
{
	(void)state;
	add_key(1);
	stop();
	boot(SLOTS);
	kernel->fail_put = ENOMEM;
	assert_int_equal(start(), -ENOMEM);
	assert_non_null(strstr(why, "could not be put in force"));
}

/* --- ten thousand keys --------------------------------------------------------------------------- */

#define MANY 10000

/* In one transaction of the test's own, as waiting for the disk is not what is measured. */
static void store_many(void)
{
	struct key_record first = store_key(0);
	sqlite3_stmt *statement;
	sqlite3 *database;

	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(database,
				   "INSERT INTO keys (id, account, label, prefix, digest,"
				   " status, per_minute, per_day, expires_ms, created_ms)"
				   " SELECT format('key_aaaaaa%06d', ?1),"
				   " format('account-%d', ?1 / 10), ?1, prefix, ?2, status,"
				   " per_minute, per_day, expires_ms, created_ms"
				   " FROM keys WHERE number = 1",
				   -1, &statement, NULL),
		SQLITE_OK);
	for (int i = 1; i < MANY; i++) {
		crypto_generichash(first.digest.bytes, DIGEST_SIZE, (const void *)&i, sizeof(i),
				   NULL, 0);
		sqlite3_bind_int(statement, 1, i);
		sqlite3_bind_blob(statement, 2, first.digest.bytes, DIGEST_SIZE, SQLITE_STATIC);
		assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
		sqlite3_reset(statement);
	}
	sqlite3_finalize(statement);
	assert_int_equal(sqlite3_exec(database, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static void ten_thousand_keys_are_in_force_in_well_under_a_second(void **state)
{
	uint64_t from_us;
	double fresh, taken_over, saved, idle;

	(void)state;
	stop();
	boot(MANY + 100);
	store_many();

	from_us = monotonic_us();
	assert_int_equal(start(), 0);
	fresh = seconds_since(from_us);
	assert_int_equal(kernel->count, MANY);
	assert_int_equal(kernel->puts, MANY);

	stop();
	from_us = monotonic_us();
	assert_int_equal(start(), 0);
	taken_over = seconds_since(from_us);
	assert_int_equal(kernel->puts, 0);
	assert_int_equal(sync_count(joined), MANY);

	from_us = monotonic_us();
	assert_int_equal(sync_save_usage(joined), 0);
	idle = seconds_since(from_us);

	for (uint32_t slot = 0; slot < MANY; slot++)
		kernel->usage[slot].admitted++;
	from_us = monotonic_us();
	assert_int_equal(sync_save_usage(joined), 0);
	saved = seconds_since(from_us);

	print_message("# 10,000 keys: put %.0f ms, taken over %.0f ms; usage saved %.0f ms, "
		      "unchanged %.2f ms\n",
		      fresh * 1e3, taken_over * 1e3, saved * 1e3, idle * 1e3);
	assert_true(fresh < 1);
	assert_true(taken_over < 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_stage(a_restart_writes_nothing_that_is_right_already),
		on_stage(counts_made_while_no_daemon_ran_are_kept),
		on_stage(counts_survive_a_reboot),
		on_stage(usage_is_restored_before_its_key_is_in_force),
		on_stage(keys_that_are_not_the_stores_go),
		on_stage(a_key_that_was_stored_but_not_put_is_put),
		on_stage(a_policy_that_differs_is_written_and_keeps_its_usage),
		on_stage(a_change_that_was_cut_short_is_made_whole),
		on_stage(two_keys_found_on_one_slot_are_parted),
		on_stage(a_slot_outside_the_table_is_replaced),
		on_stage(a_key_that_expired_while_no_daemon_ran_is_marked),
		on_stage(a_key_side_too_small_for_the_store_is_reported),
		on_stage(a_start_waits_for_a_slot_to_rest_rather_than_share_it),
		on_stage(a_slot_that_has_rested_is_free_at_the_next_start),
		on_stage(a_kernel_side_that_fails_is_reported),
		on_stage(ten_thousand_keys_are_in_force_in_well_under_a_second),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
