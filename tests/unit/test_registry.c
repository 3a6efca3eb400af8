// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A new key: what is refused, and in which order what is changed. */
#include "registry.h"

#include "registry_stage.h"

static void a_new_key_is_whole_and_in_force(void **state)
{
	struct key_request request = { .account = "acme", .label = "prod" };
	uint8_t pepper[PEPPER_SIZE];
	char text[KEY_TEXT_MAX + 1];
	struct key_digest digest;
	struct key_record record;

	(void)state;
	assert_int_equal(registry_create(registry, &request, &record, text, &failure), 0);
	assert_int_equal(strlen(text), 52);
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
	assert_int_equal(stored_number("SELECT count(*) FROM keys"), 0);
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
	stored_at_put = stored_number("SELECT count(*) FROM keys WHERE status = 0");
	limit_at_put = stored_number("SELECT max(per_minute) FROM keys");
}

static void look_at_removal(const struct key_digest *digest)
{
	(void)digest;
	revoked_at_removal = stored_number("SELECT count(*) FROM keys WHERE status = 2");
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
	assert_int_equal(stored_number("SELECT count(*) FROM keys"), 0);
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
	assert_failure(503, "UNAVAILABLE", "raise max_keys");
	assert_failure(503, "UNAVAILABLE", "sluiced --remove");
	assert_int_equal(stored_number("SELECT count(*) FROM keys"), 2);
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
	assert_failure(503, "UNAVAILABLE", "another program has locked it");
	assert_int_equal(registry_revoke(registry, record.id, &unused, &failure), -EIO);
	assert_failure(503, "UNAVAILABLE", "another program has locked it");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(kernel->count, 1);
	assert_int_equal(get(record.id).status, KEY_ACTIVE);
}

static sqlite3 *locking;

/* Once a key is stored, no undoing is possible. */
static void lock_store(const struct key_policy *policy)
{
	(void)policy;
	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &locking), SQLITE_OK);
	assert_int_equal(sqlite3_exec(locking, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

static void what_cannot_be_undone_is_told(void **state)
{
	struct key_change change = { .per_minute = &(int64_t){ 5 } };
	struct key_record record = create("acme", "prod"), unused;

	(void)state;
	kernel->fail_put = ENOMEM;
	kernel->on_put = lock_store;
	assert_int_equal(try_create(&(struct key_request){ .account = "a", .label = "b" }, &unused),
			 -EIO);
	assert_failure(503, "UNAVAILABLE", "it is stored, in force from the next start on; revoke");
	assert_int_equal(sqlite3_close(locking), SQLITE_OK);
	assert_int_equal(registry_edit(registry, record.id, &change, &unused, &failure), -EIO);
	assert_failure(503, "UNAVAILABLE", "it is changed in the store, in force from the next");
	assert_int_equal(sqlite3_close(locking), SQLITE_OK);
	assert_int_equal(stored_number("SELECT count(*) FROM keys"), 2);
	assert_int_equal(get(record.id).per_minute, 5);
	assert_int_equal(policy_of(&record)->per_minute, 60);
}

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
		on_stage(what_cannot_be_undone_is_told),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
