// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the store says is what the kernel enforces, and what the kernel counts is not lost. */
#include "sync.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include "check.h"
#include "fake_kernel.h"
#include "temp_folder.h"
#include "util.h"

#define SLOTS 16

/* A store, a kernel side and what joins them. */
static struct kernel *kernel;
static struct store *store;
static struct sync *joined;
static char why[512];

static void open_store(void)
{
	assert_int_equal(store_open(temp_path("sluice.db"), &store, why, sizeof(why)), 0);
}

static int start(void)
{
	kernel->puts = 0;
	kernel->removals = 0;
	return sync_start(kernel, store, &joined, why, sizeof(why));
}

/* The daemon's end. The kernel side stays. */
static void stop(void)
{
	sync_stop(joined);
	joined = NULL;
	store_close(store);
	open_store();
}

/* A machine that starts anew: nothing is left of the kernel side. */
static void boot(uint32_t slots)
{
	fake_kernel_free(kernel);
	kernel = fake_kernel_make(slots);
}

static int set_up(void **state)
{
	(void)state;
	if (temp_folder_make())
		return -1;
	kernel = fake_kernel_make(SLOTS);
	open_store();
	return start();
}

static int tear_down(void **state)
{
	(void)state;
	sync_stop(joined);
	store_close(store);
	fake_kernel_free(kernel);
	joined = NULL;
	return temp_folder_remove();
}

/* A key that differs from others by its number, in the store. */
static struct key_record store_key(int number)
{
	struct key_record record = { .per_minute = 60,
				     .per_day = 1000,
				     .created_ms = 1767323045678,
				     .account = "acme",
				     .prefix = "gx_ABCDEF",
				     .slot = KEY_NO_SLOT };

	snprintf(record.id, sizeof(record.id), "key_aaaaaa%06d", number);
	snprintf(record.label, sizeof(record.label), "label %d", number);
	crypto_generichash(record.digest.bytes, DIGEST_SIZE, (const void *)&number, sizeof(number),
			   NULL, 0);
	assert_int_equal(store_insert(store, &record), 0);
	return record;
}

/* The same, in force. */
static struct key_record add_key(int number)
{
	struct key_record record = store_key(number);

	assert_int_equal(sync_put(joined, &record), 0);
	return record;
}

static const struct key_policy *policy_of(const struct key_record *record)
{
	return fake_kernel_key(kernel, &record->digest);
}

static struct key_usage *usage_of(const struct key_record *record)
{
	assert_non_null(policy_of(record));
	return &kernel->usage[policy_of(record)->slot];
}

/* What the kernel does with requests. */
static void use(const struct key_record *record, uint64_t windows, uint64_t admitted)
{
	struct key_usage *usage = usage_of(record);

	usage->windows = windows;
	usage->admitted = admitted;
	usage->last_used_ms = 1767323045679;
}

static struct key_record read_back(const struct key_record *record)
{
	struct key_record stored;

	assert_int_equal(store_get(store, record->id, &stored), 0);
	return stored;
}

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
	assert_int_equal(policy->reserved, 0);
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
	assert_true(usage_of(&record)->last_used_ms == 0);
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
	assert_true(usage_of(&record)->windows == 77);
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
	assert_true(stored.windows == 77 && stored.admitted == 5);
	assert_true(stored.last_used_ms == 1767323045679);
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
	assert_true(stored.windows == 77 && stored.admitted == 5);

	/* A value that only the store has survives where nothing was counted. */
	assert_int_equal(
		store_save_usage(
			store, &(struct store_usage){ .id = "key_aaaaaa000001", .admitted = 9 }, 1),
		0);
	assert_int_equal(
		store_save_usage(
			store, &(struct store_usage){ .id = "key_aaaaaa000002", .admitted = 9 }, 1),
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
	assert_true(stored.windows == 78 && stored.admitted == 6);
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
	assert_true(stored.windows == 77);
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
	assert_true(stored.windows == 77 && stored.admitted == 5);
	stored = read_back(&later);
	assert_int_equal(stored.status, KEY_ACTIVE);
}

/* --- start -------------------------------------------------------------------------------------- */

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
	assert_true(usage_of(&record)->windows == 99);
	assert_int_equal(sync_save_usage(joined), 0);
	stored = read_back(&record);
	assert_true(stored.windows == 99 && stored.admitted == 27);
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
	assert_true(usage_of(&record)->windows == 77);
	assert_true(usage_of(&record)->admitted == 5);
	assert_true(usage_of(&record)->last_used_ms == 1767323045679);
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
	assert_int_equal(windows_at_put, 77);
}

static void keys_that_are_not_the_stores_go(void **state)
{
	struct key_record unknown = add_key(1), revoked = add_key(2), stays = add_key(3);

	(void)state;
	stop();
	assert_int_equal(store_delete(store, unknown.id), 0);
	assert_int_equal(store_revoke(store, &revoked), 0);
	assert_int_equal(start(), 0);
	assert_null(policy_of(&unknown));
	assert_null(policy_of(&revoked));
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
	assert_true(usage_of(&record)->windows == 77);
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
	assert_true(usage_of(&record)->windows == 77);
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

static double seconds_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

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
	struct timespec from;
	double fresh, taken_over, saved, idle;

	(void)state;
	stop();
	boot(MANY + 100);
	store_many();

	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(start(), 0);
	fresh = seconds_since(&from);
	assert_int_equal(kernel->count, MANY);
	assert_int_equal(kernel->puts, MANY);

	stop();
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(start(), 0);
	taken_over = seconds_since(&from);
	assert_int_equal(kernel->puts, 0);
	assert_int_equal(sync_count(joined), MANY);

	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(sync_save_usage(joined), 0);
	idle = seconds_since(&from);

	for (uint32_t slot = 0; slot < MANY; slot++)
		kernel->usage[slot].admitted++;
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(sync_save_usage(joined), 0);
	saved = seconds_since(&from);

	print_message("# 10,000 keys: put %.0f ms, taken over %.0f ms; usage saved %.0f ms, "
		      "unchanged %.2f ms\n",
		      fresh * 1e3, taken_over * 1e3, saved * 1e3, idle * 1e3);
	assert_true(fresh < 1);
	assert_true(taken_over < 1);
}

#define on_stage(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
		on_stage(a_key_that_is_not_in_force_is_not_put_by_a_change),
		on_stage(a_peek_shows_what_the_kernel_counted),
		on_stage(a_removal_that_fails_is_tried_again_by_the_sweep),
		on_stage(only_changed_usage_is_saved),
		on_stage(usage_counted_up_to_a_removal_is_saved),
		on_stage(usage_that_cannot_be_saved_now_is_saved_later),
		on_stage(a_sweep_marks_what_is_due_and_nothing_else),
		on_stage(a_restart_writes_nothing_that_is_right_already),
		on_stage(counts_made_while_no_daemon_ran_are_kept),
		on_stage(counts_survive_a_reboot),
		on_stage(usage_is_restored_before_its_key_is_in_force),
		on_stage(keys_that_are_not_the_stores_go),
		on_stage(a_key_that_was_stored_but_not_put_is_put),
		on_stage(a_policy_that_differs_is_written_and_keeps_its_usage),
		on_stage(two_keys_found_on_one_slot_are_parted),
		on_stage(a_slot_outside_the_table_is_replaced),
		on_stage(a_key_that_expired_while_no_daemon_ran_is_marked),
		on_stage(a_key_side_too_small_for_the_store_is_reported),
		on_stage(a_kernel_side_that_fails_is_reported),
		on_stage(ten_thousand_keys_are_in_force_in_well_under_a_second),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
