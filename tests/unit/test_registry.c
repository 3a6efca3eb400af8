// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verbs on keys: what they refuse, and in which order they change what. */
#include "registry.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include "check.h"
#include "fake_kernel.h"
#include "limit.h"
#include "temp_folder.h"
#include "util.h"

#define SLOTS 32

static struct kernel *kernel;
static struct store *store;
static struct sync *joined;
static struct registry *registry;
static struct failure failure;
static char why[512];

static int set_up_slots(uint32_t slots)
{
	struct registry_options options = { .keys_per_account = REGISTRY_KEYS_PER_ACCOUNT,
					    .key_word = KEY_WORD_DEFAULT };

	if (temp_folder_make() || store_open(temp_path("sluice.db"), &store, why, sizeof(why)) ||
	    store_open_pepper(store, temp_path("pepper"), options.pepper, why, sizeof(why)))
		return -1;
	kernel = fake_kernel_make(slots);
	failure = (struct failure){ 0 };
	return sync_start(kernel, store, &joined, why, sizeof(why)) ||
	       registry_open(&options, store, joined, &registry);
}

static int set_up(void **state)
{
	(void)state;
	return set_up_slots(SLOTS);
}

static int set_up_small(void **state)
{
	(void)state;
	return set_up_slots(2);
}

static int tear_down(void **state)
{
	(void)state;
	registry_close(registry);
	sync_stop(joined);
	store_close(store);
	fake_kernel_free(kernel);
	return temp_folder_remove();
}

static int try_create(const struct key_request *request, struct key_record *ret_record)
{
	char text[KEY_TEXT_MAX + 1];

	return registry_create(registry, request, ret_record, text, &failure);
}

static struct key_record create(const char *account, const char *label)
{
	struct key_record record;

	assert_int_equal(try_create(&(struct key_request){ .account = account, .label = label },
				    &record),
			 0);
	return record;
}

static struct key_record get(const char *id)
{
	struct key_record record;

	assert_int_equal(registry_get(registry, id, &record, &failure), 0);
	return record;
}

static const struct key_policy *policy_of(const struct key_record *record)
{
	return fake_kernel_key(kernel, &record->digest);
}

static void assert_failure(int status, const char *code, const char *message)
{
	assert_int_equal(failure.status, status);
	assert_string_equal(failure.code, code);
	assert_non_null(strstr(failure.message, message));
}

/* What is on disk at this moment, seen by another connection: one number. */
static int read_disk(const char *sql)
{
	sqlite3_stmt *statement;
	sqlite3 *database;
	int number;

	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &database), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
	return number;
}

/* --- create ------------------------------------------------------------------------------------- */

static void a_new_key_is_whole_and_in_force(void **state)
{
	struct key_request request = { .account = "acme", .label = "prod" };
	uint8_t pepper[PEPPER_SIZE];
	char text[KEY_TEXT_MAX + 1];
	struct key_digest digest;
	struct key_record record;

	(void)state;
	assert_int_equal(registry_create(registry, &request, &record, text, &failure), 0);
	assert_true(key_check("gx", text));
	assert_true(key_id_check(record.id));
	assert_memory_equal(record.prefix, text, 9);
	assert_int_equal(strlen(record.prefix), 9);
	assert_string_equal(record.account, "acme");
	assert_string_equal(record.label, "prod");
	assert_int_equal(record.per_minute, 60);
	assert_int_equal(record.per_day, 1000);
	assert_true(record.expires_ms == 0);
	assert_true(now_ms() - record.created_ms < 60000);
	assert_int_equal(record.status, KEY_ACTIVE);
	assert_true(record.last_used_ms == 0 && record.used_minute == 0 && record.used_day == 0);

	assert_int_equal(pepper_load(temp_path("pepper"), pepper, why, sizeof(why)), 0);
	key_hash(pepper, text, &digest);
	assert_non_null(fake_kernel_key(kernel, &digest));
}

static void limits_and_expiry_are_taken_as_asked(void **state)
{
	int64_t per_minute = 10000, per_day = 1;
	uint64_t expires_ms = now_ms() + 60000;
	struct key_record record;

	(void)state;
	assert_int_equal(try_create(&(struct key_request){ "acme", "prod", &per_minute, &per_day,
							   &expires_ms },
				    &record),
			 0);
	assert_int_equal(policy_of(&record)->per_minute, 10000);
	assert_int_equal(policy_of(&record)->per_day, 1);
	assert_true(policy_of(&record)->expires_ms == expires_ms);
}

static void each_wrong_value_has_a_message_of_its_own(void **state)
{
	static const int64_t zero = 0, too_many = 100001;
	static const uint64_t past = 1;
	static const struct {
		struct key_request request;
		const char *message;
	} cases[] = {
		{ { .label = "l" }, "account is required." },
		{ { .account = "a" }, "label is required." },
		{ { .account = "a b", .label = "l" }, "account must be 1 to 36 characters" },
		{ { .account = "a", .label = "" }, "label must be 1 to 64 characters." },
		{ { .account = "a", .label = "\n" }, "label must not contain control" },
		{ { .account = "a", .label = "l", .per_minute = &zero },
		  "perMinute must be from 1 to 10000." },
		{ { .account = "a", .label = "l", .per_day = &too_many },
		  "perDay must be from 1 to 100000." },
		{ { .account = "a", .label = "l", .expires_ms = &past },
		  "expiresAt must be in the future." },
	};
	struct key_record record;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(try_create(&cases[i].request, &record), -EINVAL);
		assert_failure(400, "INVALID_ARGUMENT", cases[i].message);
	}
	assert_int_equal(kernel->puts, 0);
	assert_int_equal(read_disk("SELECT count(*) FROM keys"), 0);
}

static void a_taken_label_is_a_conflict(void **state)
{
	struct key_record record;

	(void)state;
	create("acme", "prod");
	create("other", "prod");
	assert_int_equal(try_create(&(struct key_request){ .account = "acme", .label = "prod" },
				    &record),
			 -EEXIST);
	assert_failure(409, "CONFLICT", "already has a key with this label");
	assert_int_equal(kernel->count, 2);
}

static void an_account_has_ten_keys_at_most(void **state)
{
	struct key_record record, first = { 0 };
	char label[16];

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(label, sizeof(label), "%d", i);
		record = create("acme", label);
		if (i == 0)
			first = record;
	}
	assert_int_equal(try_create(&(struct key_request){ .account = "acme", .label = "more" },
				    &record),
			 -EDQUOT);
	assert_failure(409, "LIMIT_REACHED", "10 keys");
	create("other", "more");

	assert_int_equal(registry_revoke(registry, first.id, &record, &failure), 0);
	create("acme", "more");
}

static void an_expired_key_counts_until_it_is_revoked(void **state)
{
	uint64_t expires_ms = now_ms() + 60000;
	struct key_record record, expired;
	char label[16];

	(void)state;
	assert_int_equal(try_create(&(struct key_request){ .account = "acme",
							   .label = "old",
							   .expires_ms = &expires_ms },
				    &expired),
			 0);
	assert_int_equal(sync_sweep(joined, expires_ms), 0);
	assert_int_equal(get(expired.id).status, KEY_EXPIRED);
	for (int i = 0; i < 9; i++) {
		snprintf(label, sizeof(label), "%d", i);
		create("acme", label);
	}
	assert_int_equal(try_create(&(struct key_request){ .account = "acme", .label = "more" },
				    &record),
			 -EDQUOT);
	assert_int_equal(registry_revoke(registry, expired.id, &record, &failure), 0);
	assert_int_equal(record.status, KEY_REVOKED);
	create("acme", "more");
}

static int stored_at_put, revoked_at_removal, limit_at_put;

static void look_at_put(const struct key_policy *policy)
{
	(void)policy;
	stored_at_put = read_disk("SELECT count(*) FROM keys WHERE status = 0");
	limit_at_put = read_disk("SELECT max(per_minute) FROM keys");
}

static void look_at_removal(const struct key_digest *digest)
{
	(void)digest;
	revoked_at_removal = read_disk("SELECT count(*) FROM keys WHERE status = 2");
}

static void every_change_is_on_disk_before_it_is_in_force(void **state)
{
	int64_t per_minute = 77;
	struct key_record record;

	(void)state;
	kernel->on_put = look_at_put;
	kernel->on_removal = look_at_removal;
	record = create("acme", "prod");
	assert_int_equal(stored_at_put, 1);
	assert_int_equal(registry_edit(registry, record.id,
				       &(struct key_change){ .per_minute = &per_minute }, &record,
				       &failure),
			 0);
	assert_int_equal(limit_at_put, 77);
	assert_int_equal(registry_revoke(registry, record.id, &record, &failure), 0);
	assert_int_equal(revoked_at_removal, 1);
}

static void a_key_that_cannot_be_put_in_force_is_not_kept(void **state)
{
	struct key_record record;

	(void)state;
	kernel->fail_put = ENOMEM;
	assert_int_equal(try_create(&(struct key_request){ .account = "acme", .label = "prod" },
				    &record),
			 -EIO);
	assert_failure(503, "UNAVAILABLE", "Nothing was changed.");
	assert_int_equal(read_disk("SELECT count(*) FROM keys"), 0);
	kernel->fail_put = 0;
	create("acme", "prod");
}

static void a_full_key_table_is_reported(void **state)
{
	struct key_record record;

	(void)state;
	create("a", "1");
	record = create("a", "2");
	assert_int_equal(try_create(&(struct key_request){ .account = "a", .label = "3" }, &record),
			 -EIO);
	assert_failure(503, "UNAVAILABLE", "key table is full");
	assert_int_equal(read_disk("SELECT count(*) FROM keys"), 2);
}

static void a_locked_store_changes_nothing(void **state)
{
	struct key_record record = create("acme", "prod"), unused;
	sqlite3 *other;

	(void)state;
	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(try_create(&(struct key_request){ .account = "a", .label = "b" }, &unused),
			 -EIO);
	assert_failure(503, "UNAVAILABLE", "The store failed");
	assert_int_equal(registry_revoke(registry, record.id, &unused, &failure), -EIO);
	assert_failure(503, "UNAVAILABLE", "The store failed");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(kernel->count, 1);
	assert_int_equal(get(record.id).status, KEY_ACTIVE);
}

/* --- edit ---------------------------------------------------------------------------------------- */

static int edit(const char *id, const char *label, const int64_t *per_minute,
		const int64_t *per_day, struct key_record *ret_record)
{
	struct key_change change = { label, per_minute, per_day };

	return registry_edit(registry, id, &change, ret_record, &failure);
}

static void an_edit_is_in_force_and_keeps_what_is_used(void **state)
{
	int64_t per_minute = 5, per_day = 6;
	struct key_record record = create("acme", "prod"), edited;

	(void)state;
	kernel->usage[record.slot].windows = 77;
	assert_int_equal(edit(record.id, NULL, &per_minute, &per_day, &edited), 0);
	assert_int_equal(edited.per_minute, 5);
	assert_int_equal(edited.per_day, 6);
	assert_string_equal(edited.label, "prod");
	assert_int_equal(policy_of(&record)->per_minute, 5);
	assert_int_equal(policy_of(&record)->per_day, 6);
	assert_true(kernel->usage[record.slot].windows == 77);

	assert_int_equal(edit(record.id, "test", NULL, NULL, &edited), 0);
	assert_string_equal(get(record.id).label, "test");
	assert_int_equal(get(record.id).per_minute, 5);
}

static void a_wrong_edit_changes_nothing(void **state)
{
	struct key_record record = create("acme", "prod"), edited;
	int64_t good = 5, bad = 0;

	(void)state;
	create("acme", "test");
	assert_int_equal(edit(record.id, NULL, NULL, NULL, &edited), -EINVAL);
	assert_failure(400, "INVALID_ARGUMENT", "Nothing to change");
	assert_int_equal(edit(record.id, "new", &good, &bad, &edited), -EINVAL);
	assert_failure(400, "INVALID_ARGUMENT", "perDay");
	assert_int_equal(edit(record.id, "test", &good, NULL, &edited), -EEXIST);
	assert_failure(409, "CONFLICT", "label");
	assert_string_equal(get(record.id).label, "prod");
	assert_int_equal(get(record.id).per_minute, 60);
	assert_int_equal(policy_of(&record)->per_minute, 60);
}

static void an_edit_that_cannot_be_put_in_force_is_undone(void **state)
{
	struct key_record record = create("acme", "prod"), edited;
	int64_t per_minute = 5;

	(void)state;
	kernel->fail_put = ENOMEM;
	assert_int_equal(edit(record.id, "new", &per_minute, NULL, &edited), -EIO);
	assert_failure(503, "UNAVAILABLE", "Nothing was changed.");
	assert_string_equal(get(record.id).label, "prod");
	assert_int_equal(get(record.id).per_minute, 60);
}

static void a_key_keeps_its_own_label_in_an_edit(void **state)
{
	struct key_record record = create("acme", "prod"), edited;

	(void)state;
	assert_int_equal(edit(record.id, "prod", NULL, NULL, &edited), 0);
}

/* --- revoke -------------------------------------------------------------------------------------- */

static void a_revoked_key_is_out_of_force_and_others_stay(void **state)
{
	struct key_record gone = create("acme", "prod"), stays = create("acme", "test"), record;

	(void)state;
	kernel->usage[gone.slot].admitted = 5;
	kernel->usage[gone.slot].last_used_ms = 6;
	assert_int_equal(registry_revoke(registry, gone.id, &record, &failure), 0);
	assert_int_equal(record.status, KEY_REVOKED);
	assert_true(record.admitted == 5 && record.last_used_ms == 6);
	assert_int_equal(record.slot, KEY_NO_SLOT);
	assert_null(policy_of(&gone));
	assert_non_null(policy_of(&stays));
	assert_int_equal(get(stays.id).status, KEY_ACTIVE);
}

static void revoking_again_is_no_error(void **state)
{
	struct key_record record = create("acme", "prod");

	(void)state;
	assert_int_equal(registry_revoke(registry, record.id, &record, &failure), 0);
	assert_int_equal(registry_revoke(registry, record.id, &record, &failure), 0);
	assert_int_equal(record.status, KEY_REVOKED);
}

static void a_revoked_key_cannot_be_edited(void **state)
{
	struct key_record record = create("acme", "prod"), edited;

	(void)state;
	assert_int_equal(registry_revoke(registry, record.id, &record, &failure), 0);
	assert_int_equal(edit(record.id, "new", NULL, NULL, &edited), -EEXIST);
	assert_failure(409, "CONFLICT", "revoked");
}

static void a_revocation_the_kernel_did_not_take_is_not_confirmed(void **state)
{
	struct key_record record = create("acme", "prod"), revoked;

	(void)state;
	kernel->fail_removal = EIO;
	assert_int_equal(registry_revoke(registry, record.id, &revoked, &failure), -EIO);
	assert_failure(503, "UNAVAILABLE", "may still be accepted");
	assert_int_equal(get(record.id).status, KEY_REVOKED);
	kernel->fail_removal = 0;
	assert_int_equal(registry_revoke(registry, record.id, &revoked, &failure), 0);
	assert_null(policy_of(&record));
}

/* --- get and list ------------------------------------------------------------------------------- */

static void a_key_that_is_not_there_is_not_found(void **state)
{
	static const char *const ids[] = { "key_aaaaaaaaaaaa", "key_", "", "key_a' OR 1=1 --" };
	struct key_record record;
	int64_t one = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_int_equal(registry_get(registry, ids[i], &record, &failure), -ENOENT);
		assert_failure(404, "NOT_FOUND", "no key");
		assert_int_equal(edit(ids[i], NULL, &one, NULL, &record), -ENOENT);
		assert_int_equal(registry_revoke(registry, ids[i], &record, &failure), -ENOENT);
	}
}

static void records_show_live_usage(void **state)
{
	struct key_record record = create("acme", "prod");
	uint64_t now = now_ms();
	struct limit_windows windows = { .minute = (uint32_t)(now / 60000 / 1440 * 1440),
					 .used_day = 20,
					 .used_minute = 3 };
	struct key_record *records;
	size_t count;

	(void)state;
	/* An earlier minute of today: the day's count stands. */
	kernel->usage[record.slot].windows = limit_pack(&windows);
	kernel->usage[record.slot].last_used_ms = now - 1000;
	record = get(record.id);
	assert_int_equal(record.used_day, 20);
	assert_true(record.last_used_ms == now - 1000);

	/* A minute that is not over before the test is. */
	windows.minute = (uint32_t)(now / 60000) + 1;
	kernel->usage[record.slot].windows = limit_pack(&windows);
	assert_int_equal(registry_list(registry, "acme", &records, &count, &failure), 0);
	assert_int_equal(count, 1);
	assert_int_equal(records[0].used_minute, 3);
	assert_int_equal(records[0].used_day, 20);
	free(records);

	/* Yesterday's counts are over. */
	windows.minute = (uint32_t)(now / 60000) - 1440;
	kernel->usage[record.slot].windows = limit_pack(&windows);
	record = get(record.id);
	assert_int_equal(record.used_minute, 0);
	assert_int_equal(record.used_day, 0);
}

static void a_key_is_shown_as_expired_from_its_millisecond_on(void **state)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t expires_ms = now_ms() + 300;
	struct key_record record;

	(void)state;
	assert_int_equal(try_create(&(struct key_request){ .account = "acme",
							   .label = "old",
							   .expires_ms = &expires_ms },
				    &record),
			 0);
	assert_int_equal(get(record.id).status, KEY_ACTIVE);
	while (now_ms() < expires_ms)
		nanosleep(&pause, NULL);
	assert_int_equal(get(record.id).status, KEY_EXPIRED);
}

static void a_list_is_of_one_account_or_of_all(void **state)
{
	struct key_record *records;
	struct store_counts counts;
	size_t count;

	(void)state;
	create("b", "1");
	create("a", "2");
	create("b", "3");
	assert_int_equal(registry_list(registry, NULL, &records, &count, &failure), 0);
	assert_int_equal(count, 3);
	assert_string_equal(records[0].label, "1");
	assert_string_equal(records[1].label, "2");
	assert_string_equal(records[2].label, "3");
	free(records);
	assert_int_equal(registry_list(registry, "b", &records, &count, &failure), 0);
	assert_int_equal(count, 2);
	free(records);
	assert_int_equal(registry_list(registry, "a b", &records, &count, &failure), -EINVAL);
	assert_failure(400, "INVALID_ARGUMENT", "account");
	assert_int_equal(registry_count(registry, &counts, &failure), 0);
	assert_int_equal(counts.active, 3);
}

static void no_secret_is_in_the_state_folder(void **state)
{
	struct key_request request = { .account = "acme", .label = "prod" };
	char text[KEY_TEXT_MAX + 1], command[256];
	struct key_record record;

	(void)state;
	assert_int_equal(registry_create(registry, &request, &record, text, &failure), 0);
	snprintf(command, sizeof(command), "grep -raqF '%s' %s", text, temp_folder);
	assert_int_not_equal(system(command), 0);
	snprintf(command, sizeof(command), "grep -raqF '%s' %s", text + 9, temp_folder);
	assert_int_not_equal(system(command), 0);
	/* The search itself works. */
	snprintf(command, sizeof(command), "grep -raqF '%s' %s", record.prefix, temp_folder);
	assert_int_equal(system(command), 0);
}

static void a_registry_with_a_bad_key_word_is_not_opened(void **state)
{
	struct registry_options options = { .keys_per_account = 10, .key_word = "BAD" };
	struct registry *unused;

	(void)state;
	assert_int_equal(registry_open(&options, store, joined, &unused), -EINVAL);
}

#define on_stage(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_stage(a_new_key_is_whole_and_in_force),
		on_stage(limits_and_expiry_are_taken_as_asked),
		on_stage(each_wrong_value_has_a_message_of_its_own),
		on_stage(a_taken_label_is_a_conflict),
		on_stage(an_account_has_ten_keys_at_most),
		on_stage(an_expired_key_counts_until_it_is_revoked),
		on_stage(every_change_is_on_disk_before_it_is_in_force),
		on_stage(a_key_that_cannot_be_put_in_force_is_not_kept),
		cmocka_unit_test_setup_teardown(a_full_key_table_is_reported, set_up_small,
						tear_down),
		on_stage(a_locked_store_changes_nothing),
		on_stage(an_edit_is_in_force_and_keeps_what_is_used),
		on_stage(a_wrong_edit_changes_nothing),
		on_stage(an_edit_that_cannot_be_put_in_force_is_undone),
		on_stage(a_key_keeps_its_own_label_in_an_edit),
		on_stage(a_revoked_key_is_out_of_force_and_others_stay),
		on_stage(revoking_again_is_no_error),
		on_stage(a_revoked_key_cannot_be_edited),
		on_stage(a_revocation_the_kernel_did_not_take_is_not_confirmed),
		on_stage(a_key_that_is_not_there_is_not_found),
		on_stage(records_show_live_usage),
		on_stage(a_key_is_shown_as_expired_from_its_millisecond_on),
		on_stage(a_list_is_of_one_account_or_of_all),
		on_stage(no_secret_is_in_the_state_folder),
		on_stage(a_registry_with_a_bad_key_word_is_not_opened),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
