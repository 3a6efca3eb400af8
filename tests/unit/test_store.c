// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store: what it keeps, and what it will not keep twice. */
#include "store.h"

#include <sys/wait.h>
#include <unistd.h>

#include "store_stage.h"

static void a_key_is_read_as_it_was_stored(void **state)
{
	struct key_record record = make_record(1, "acme", "K\xc3\xa4se"), read_back;
	struct store *store = open_store();

	(void)state;
	record.expires_ms = 1799999999999;
	record.windows = 0xfedcba9876543210;
	record.last_used_ms = 5;
	record.admitted = 6;
	record.refused = 7;
	assert_int_equal(store_insert(store, &record), 0);
	assert_int_equal(store_get(store, record.id, &read_back), 0);
	assert_string_equal(read_back.id, record.id);
	assert_string_equal(read_back.account, record.account);
	assert_string_equal(read_back.label, record.label);
	assert_string_equal(read_back.prefix, record.prefix);
	assert_memory_equal(&read_back.digest, &record.digest, sizeof(record.digest));
	assert_int_equal(read_back.status, KEY_ACTIVE);
	assert_int_equal(read_back.per_minute, 60);
	assert_int_equal(read_back.per_day, 1000);
	assert_true(read_back.expires_ms == record.expires_ms);
	assert_true(read_back.created_ms == record.created_ms);
	assert_true(read_back.windows == record.windows);
	assert_true(read_back.last_used_ms == 5 && read_back.admitted == 6 &&
		    read_back.refused == 7);
	assert_int_equal(read_back.slot, KEY_NO_SLOT);
	assert_int_equal(store_get(store, "key_zzzzzzzzzzzz", &read_back), -ENOENT);
	store_close(store);
}

static void a_confirmed_key_outlives_the_daemons_death(void **state)
{
	struct key_record record = make_record(1, "acme", "a"), read_back;
	struct store *store;
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0) {
		if (store_open(temp_path("sluice.db"), &store, why, sizeof(why)) ||
		    store_insert(store, &record))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	store = open_store();
	assert_int_equal(store_get(store, record.id, &read_back), 0);
	store_close(store);
}

static void a_label_is_taken_once_per_account(void **state)
{
	struct key_record first = make_record(1, "acme", "prod");
	struct key_record same = make_record(2, "acme", "prod");
	struct key_record elsewhere = make_record(3, "other", "prod");
	struct key_record renamed = make_record(4, "acme", "test");
	struct store *store = open_store();

	(void)state;
	assert_int_equal(store_insert(store, &first), 0);
	assert_int_equal(store_insert(store, &same), -EEXIST);
	assert_int_equal(store_insert(store, &elsewhere), 0);
	assert_int_equal(store_insert(store, &renamed), 0);
	strcpy(renamed.label, "prod");
	assert_int_equal(store_update(store, &renamed), -EEXIST);
	store_close(store);
}

static void a_revoked_key_frees_its_label_and_keeps_its_usage(void **state)
{
	struct key_record first = make_record(1, "acme", "prod"), read_back;
	struct key_record second = make_record(2, "acme", "prod");
	struct store *store = open_store();

	(void)state;
	assert_int_equal(store_insert(store, &first), 0);
	first.windows = 11;
	first.last_used_ms = 12;
	first.admitted = 13;
	first.refused = 14;
	assert_int_equal(store_revoke(store, &first), 0);
	assert_int_equal(store_insert(store, &second), 0);
	assert_int_equal(store_get(store, first.id, &read_back), 0);
	assert_int_equal(read_back.status, KEY_REVOKED);
	assert_true(read_back.windows == 11 && read_back.last_used_ms == 12 &&
		    read_back.admitted == 13 && read_back.refused == 14);
	assert_int_equal(store_revoke(store, &(struct key_record){ .id = "key_zzzzzzzzzzzz" }),
			 -ENOENT);
	store_close(store);
}

static void an_expired_key_keeps_its_label(void **state)
{
	struct key_record first = make_record(1, "acme", "prod");
	struct key_record second = make_record(2, "acme", "prod");
	struct store *store = open_store();

	(void)state;
	first.expires_ms = 1000;
	assert_int_equal(store_insert(store, &first), 0);
	assert_int_equal(store_expire(store, 1000), 0);
	assert_int_equal(store_insert(store, &second), -EEXIST);
	store_close(store);
}

static void two_keys_never_share_a_digest(void **state)
{
	struct key_record first = make_record(1, "acme", "a");
	struct key_record second = make_record(2, "acme", "b");
	struct store *store = open_store();

	(void)state;
	second.digest = first.digest;
	assert_int_equal(store_insert(store, &first), 0);
	assert_int_equal(store_insert(store, &second), -EIO);
	store_close(store);
}

static void a_change_is_kept(void **state)
{
	struct key_record record = make_record(1, "acme", "a"), read_back;
	struct store *store = open_store();

	(void)state;
	assert_int_equal(store_insert(store, &record), 0);
	strcpy(record.label, "b");
	record.per_minute = 5;
	record.per_day = 6;
	assert_int_equal(store_update(store, &record), 0);
	assert_int_equal(store_get(store, record.id, &read_back), 0);
	assert_string_equal(read_back.label, "b");
	assert_int_equal(read_back.per_minute, 5);
	assert_int_equal(read_back.per_day, 6);
	strcpy(record.id, "key_zzzzzzzzzzzz");
	assert_int_equal(store_update(store, &record), -ENOENT);
	store_close(store);
}

static void keys_expire_at_their_millisecond(void **state)
{
	struct key_record never = make_record(1, "acme", "never"), read_back;
	struct key_record due = make_record(2, "acme", "due");
	struct key_record later = make_record(3, "acme", "later");
	struct store_counts counts;
	struct store *store = open_store();

	(void)state;
	due.expires_ms = 5000;
	later.expires_ms = 5001;
	assert_int_equal(store_insert(store, &never), 0);
	assert_int_equal(store_insert(store, &due), 0);
	assert_int_equal(store_insert(store, &later), 0);
	assert_int_equal(store_expire(store, 5000), 0);
	assert_int_equal(store_get(store, due.id, &read_back), 0);
	assert_int_equal(read_back.status, KEY_EXPIRED);
	assert_int_equal(store_count(store, &counts), 0);
	assert_int_equal(counts.active, 2);
	assert_int_equal(counts.expired, 1);
	assert_int_equal(counts.revoked, 0);
	store_close(store);
}

/* Ends with the eleventh. */
static int count_active(struct key_record *record, void *data)
{
	size_t *count = data;

	assert_int_equal(record->status, KEY_ACTIVE);
	return ++*count > 10 ? (int)*count : 0;
}

static void keys_are_listed_in_the_order_of_their_creation(void **state)
{
	static const char *const accounts[] = { "b", "a", "b", "a", "b" };
	struct store *store = open_store();
	struct key_record *records, record;
	size_t count;

	(void)state;
	for (int i = 0; i < 5; i++) {
		/* Ids that go the other way. */
		record = make_record(9 - i, accounts[i], "");
		snprintf(record.label, sizeof(record.label), "%d", i);
		assert_int_equal(store_insert(store, &record), 0);
	}
	assert_int_equal(store_revoke(store, &record), 0);

	assert_int_equal(store_list(store, NULL, &records, &count), 0);
	assert_int_equal(count, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(records[i].label[0], '0' + i);
	free(records);

	assert_int_equal(store_list(store, "b", &records, &count), 0);
	assert_int_equal(count, 3);
	assert_string_equal(records[0].label, "0");
	assert_string_equal(records[2].label, "4");
	free(records);

	count = 0;
	assert_int_equal(store_each_active(store, count_active, &count), 0);
	assert_int_equal(count, 4);
	count = 10;
	assert_int_equal(store_each_active(store, count_active, &count), 11);

	assert_int_equal(store_list(store, "nobody", &records, &count), 0);
	assert_int_equal(count, 0);
	assert_null(records);
	store_close(store);
}

static void the_count_of_an_account_leaves_out_revoked_keys_alone(void **state)
{
	struct key_record record;
	struct store *store = open_store();
	uint32_t count;

	(void)state;
	for (int i = 0; i < 3; i++) {
		record = make_record(i, "acme", i == 0 ? "a" : i == 1 ? "b" : "c");
		record.expires_ms = i == 1 ? 1 : 0;
		assert_int_equal(store_insert(store, &record), 0);
	}
	assert_int_equal(store_expire(store, 1), 0);
	assert_int_equal(store_revoke(store, &record), 0);
	assert_int_equal(store_count_account(store, "acme", &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(store_count_account(store, "nobody", &count), 0);
	assert_int_equal(count, 0);
	store_close(store);
}

static void usage_is_saved_in_one_go(void **state)
{
	struct store_usage usage[3] = { { .windows = 1, .last_used_ms = 2, .admitted = 3 },
					{ .windows = UINT64_MAX, .refused = 4 },
					{ .number = 99, .admitted = 9 } };
	struct key_record first = make_record(1, "acme", "a"), read_back;
	struct key_record second = make_record(2, "acme", "b");
	struct store *store = open_store();

	(void)state;
	assert_int_equal(store_insert(store, &first), 0);
	assert_int_equal(store_insert(store, &second), 0);
	usage[0].number = first.number;
	usage[1].number = second.number;
	assert_int_equal(store_save_usage(store, usage, 3), 0);
	assert_int_equal(store_get(store, first.id, &read_back), 0);
	assert_true(read_back.windows == 1 && read_back.last_used_ms == 2 &&
		    read_back.admitted == 3 && read_back.refused == 0);
	assert_int_equal(store_get(store, second.id, &read_back), 0);
	assert_true(read_back.windows == UINT64_MAX && read_back.refused == 4);
	store_close(store);
}

static void usage_is_saved_whole_or_not_at_all(void **state)
{
	struct key_record first = make_record(1, "acme", "a"), second = make_record(2, "acme", "b");
	struct store_usage usage[2] = { { .admitted = 3 }, { .admitted = 13 } };
	struct store *store = open_store();
	struct key_record read_back;

	(void)state;
	assert_int_equal(store_insert(store, &first), 0);
	assert_int_equal(store_insert(store, &second), 0);
	usage[0].number = first.number;
	usage[1].number = second.number;
	change_file("CREATE TRIGGER unlucky BEFORE UPDATE ON keys WHEN NEW.admitted = 13 "
		    "BEGIN SELECT RAISE(FAIL, 'unlucky'); END");
	assert_int_equal(store_save_usage(store, usage, 2), -EIO);
	assert_int_equal(store_get(store, first.id, &read_back), 0);
	assert_true(read_back.admitted == 0);

	/* Nothing is left open: others may write, and so may we. */
	change_file("DROP TRIGGER unlucky");
	assert_int_equal(store_save_usage(store, usage, 2), 0);
	assert_int_equal(stored_number("SELECT sum(admitted) FROM keys"), 16);
	store_close(store);
}

static void a_store_that_is_locked_by_another_program_reports_it(void **state)
{
	struct key_record record = make_record(1, "acme", "a");
	struct store_usage usage = { .number = 1 };
	struct store *store = open_store();
	sqlite3 *other;

	(void)state;
	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_insert(store, &record), -EBUSY);
	assert_int_equal(store_save_usage(store, &usage, 1), -EBUSY);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_insert(store, &record), 0);
	assert_int_equal(store_save_usage(store, &usage, 1), 0);
	sqlite3_close(other);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_folder(a_key_is_read_as_it_was_stored),
		with_folder(a_confirmed_key_outlives_the_daemons_death),
		with_folder(a_label_is_taken_once_per_account),
		with_folder(a_revoked_key_frees_its_label_and_keeps_its_usage),
		with_folder(an_expired_key_keeps_its_label),
		with_folder(two_keys_never_share_a_digest),
		with_folder(a_change_is_kept),
		with_folder(keys_expire_at_their_millisecond),
		with_folder(keys_are_listed_in_the_order_of_their_creation),
		with_folder(the_count_of_an_account_leaves_out_revoked_keys_alone),
		with_folder(usage_is_saved_in_one_go),
		with_folder(usage_is_saved_whole_or_not_at_all),
		with_folder(a_store_that_is_locked_by_another_program_reports_it),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
