// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keys that are there: edited, revoked, shown. */
#include "registry.h"

#include <time.h>

#include "registry_stage.h"

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
	kernel->usage[gone.slot].windows = 1;
	kernel->usage[gone.slot].last_used = 6;
	assert_int_equal(registry_revoke(registry, gone.id, &record, &failure), 0);
	assert_int_equal(record.status, KEY_REVOKED);
	assert_true(record.admitted == 5 && record.last_used_ms == 6);
	assert_int_equal(record.slot, KEY_NO_SLOT);
	assert_null(policy_of(&gone));
	assert_non_null(policy_of(&stays));
	assert_int_equal(get(stays.id).status, KEY_ACTIVE);
}

static void revoking_again_is_no_error_and_no_change(void **state)
{
	struct key_record record = create("acme", "prod");

	(void)state;
	assert_int_equal(registry_revoke(registry, record.id, &record, &failure), 0);
	assert_int_equal(registry_revoke(registry, record.id, &record, &failure), 1);
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
	kernel->usage[record.slot].last_used = now - 1000;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_stage(an_edit_is_in_force_and_keeps_what_is_used),
		on_stage(a_wrong_edit_changes_nothing),
		on_stage(an_edit_that_cannot_be_put_in_force_is_undone),
		on_stage(a_key_keeps_its_own_label_in_an_edit),
		on_stage(a_revoked_key_is_out_of_force_and_others_stay),
		on_stage(revoking_again_is_no_error_and_no_change),
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
