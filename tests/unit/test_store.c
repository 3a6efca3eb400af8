// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store: what it refuses to open, what it keeps, what it will not keep twice. */
#include "store.h"

#include <errno.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "store_schema.h"
#include "temp_folder.h"
#include "util.h"

static char why[512];

static int make_folder(void **state)
{
	(void)state;
	return temp_folder_make();
}

static int remove_folder(void **state)
{
	(void)state;
	return temp_folder_remove();
}

static struct store *open_store(void)
{
	struct store *store;
	int err = store_open(temp_path("sluice.db"), &store, why, sizeof(why));

	if (err)
		print_error("%s\n", why);
	assert_int_equal(err, 0);
	return store;
}

static int try_open(void)
{
	struct store *store;
	int err = store_open(temp_path("sluice.db"), &store, why, sizeof(why));

	if (!err)
		store_close(store);
	return err;
}

/* A record that differs from others by its number. */
static struct key_record make_record(int number, const char *account, const char *label)
{
	struct key_record record = { .per_minute = 60,
				     .per_day = 1000,
				     .created_ms = 1767323045678,
				     .prefix = "gx_ABCDEF",
				     .slot = KEY_NO_SLOT };

	snprintf(record.id, sizeof(record.id), "key_aaaaaa%06d", number);
	snprintf(record.account, sizeof(record.account), "%s", account);
	snprintf(record.label, sizeof(record.label), "%s", label);
	memcpy(record.digest.bytes, &number, sizeof(number));
	return record;
}

/* Run SQL on the file from outside. */
static void change_file(const char *sql)
{
	sqlite3 *database;

	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static int read_number(const char *sql)
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

static void write_file(const char *text)
{
	FILE *file = fopen(temp_path("sluice.db"), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* --- opening ----------------------------------------------------------------------------------- */

static void a_new_store_has_the_newest_schema(void **state)
{
	(void)state;
	store_close(open_store());
	assert_int_equal(read_number("PRAGMA user_version"), store_schema.version);
	assert_int_equal(read_number("PRAGMA application_id"), STORE_APPLICATION_ID);
}

static void a_new_store_is_the_owners_alone(void **state)
{
	struct store *store = open_store();
	struct stat status;

	(void)state;
	assert_int_equal(stat(temp_path("sluice.db"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(stat(temp_path("sluice.db-wal"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	store_close(store);
}

static void a_store_is_opened_by_one_daemon_at_a_time(void **state)
{
	struct store *store = open_store();

	(void)state;
	assert_int_equal(try_open(), -EBUSY);
	assert_non_null(strstr(why, "another sluiced uses it"));
	store_close(store);
	assert_int_equal(try_open(), 0);
}

static void a_store_without_its_folder_is_not_made(void **state)
{
	struct store *store;

	(void)state;
	assert_int_equal(store_open(temp_path("none/sluice.db"), &store, why, sizeof(why)),
			 -ENOENT);
	assert_non_null(strstr(why, "none"));
}

static void a_store_of_a_newer_version_is_refused(void **state)
{
	(void)state;
	store_close(open_store());
	change_file("PRAGMA user_version = 99");
	assert_int_equal(try_open(), -EPROTO);
	assert_non_null(strstr(why, "newer version"));
	assert_int_equal(read_number("PRAGMA user_version"), 99);
}

static void another_programs_database_is_refused_and_untouched(void **state)
{
	(void)state;
	change_file("CREATE TABLE theirs (a)");
	assert_int_equal(try_open(), -EMEDIUMTYPE);
	assert_non_null(strstr(why, "not a Sluice store"));
	assert_int_equal(read_number("SELECT count(*) FROM sqlite_schema"), 1);
	change_file("DROP TABLE theirs; PRAGMA application_id = 7");
	assert_int_equal(try_open(), -EMEDIUMTYPE);
}

static void a_file_that_is_no_database_is_refused_and_untouched(void **state)
{
	struct stat status;

	(void)state;
	write_file("This is a text that somebody wants to keep.\n");
	assert_int_equal(try_open(), -EMEDIUMTYPE);
	assert_int_equal(stat(temp_path("sluice.db"), &status), 0);
	assert_int_equal(status.st_size, 44);
}

static void a_damaged_store_is_refused(void **state)
{
	struct store *store = open_store();
	struct key_record record;
	FILE *file;

	(void)state;
	for (int i = 0; i < 200; i++) {
		record = make_record(i, "acme", "");
		snprintf(record.label, sizeof(record.label), "label %d", i);
		assert_int_equal(store_insert(store, &record), 0);
	}
	store_close(store);

	/* All pages but the first. */
	file = fopen(temp_path("sluice.db"), "r+");
	assert_non_null(file);
	fseek(file, 4096, SEEK_SET);
	for (int i = 0; i < 4 * 4096; i++)
		fputc(0xa5, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(try_open(), -EUCLEAN);
	assert_non_null(strstr(why, "damaged"));
	assert_non_null(strstr(why, "backup"));
}

static void a_store_that_lacks_a_table_is_refused(void **state)
{
	(void)state;
	store_close(open_store());
	change_file("DROP TABLE keys");
	assert_int_not_equal(try_open(), 0);
	assert_non_null(strstr(why, "lacks tables"));
}

/* --- migration ---------------------------------------------------------------------------------- */

static const char *const good_steps[] = {
	"CREATE TABLE first (a INTEGER); INSERT INTO first VALUES (1)",
	"ALTER TABLE first ADD COLUMN b INTEGER NOT NULL DEFAULT 2",
	"UPDATE first SET b = a + b",
};

static const char *const bad_steps[] = {
	"CREATE TABLE first (a INTEGER); INSERT INTO first VALUES (1)",
	"UPDATE first SET a = 5; INSERT INTO nowhere VALUES (1)",
};

static int migrate(const char *const *steps, int version)
{
	struct store_schema schema = { .steps = steps, .version = version };
	sqlite3 *database;
	int err;

	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &database), SQLITE_OK);
	err = store_schema_check(database, &schema, "the file", why, sizeof(why));
	if (!err)
		err = store_schema_migrate(database, &schema, "the file", why, sizeof(why));
	sqlite3_close(database);
	return err;
}

static void a_store_of_any_earlier_version_is_brought_up_to_date(void **state)
{
	(void)state;
	for (int former = 0; former <= 3; former++) {
		assert_int_equal(migrate(good_steps, former), 0);
		assert_int_equal(read_number("PRAGMA user_version"), former);
		assert_int_equal(migrate(good_steps, 3), 0);
		assert_int_equal(read_number("PRAGMA user_version"), 3);
		assert_int_equal(read_number("SELECT b FROM first"), 3);
		assert_int_equal(unlink(temp_path("sluice.db")), 0);
	}
}

static void a_migration_that_fails_leaves_the_store_as_it_was(void **state)
{
	(void)state;
	assert_int_equal(migrate(bad_steps, 1), 0);
	assert_int_equal(migrate(bad_steps, 2), -EIO);
	assert_non_null(strstr(why, "nowhere"));
	assert_int_equal(read_number("PRAGMA user_version"), 1);
	assert_int_equal(read_number("SELECT a FROM first"), 1);
}

/* --- keys --------------------------------------------------------------------------------------- */

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

	assert_int_equal(store_list_active(store, &records, &count), 0);
	assert_int_equal(count, 4);
	free(records);

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
					{ .id = "key_zzzzzzzzzzzz", .admitted = 9 } };
	struct key_record first = make_record(1, "acme", "a"), read_back;
	struct key_record second = make_record(2, "acme", "b");
	struct store *store = open_store();

	(void)state;
	assert_int_equal(store_insert(store, &first), 0);
	assert_int_equal(store_insert(store, &second), 0);
	strcpy(usage[0].id, first.id);
	strcpy(usage[1].id, second.id);
	assert_int_equal(store_save_usage(store, usage, 3), 0);
	assert_int_equal(store_get(store, first.id, &read_back), 0);
	assert_true(read_back.windows == 1 && read_back.last_used_ms == 2 &&
		    read_back.admitted == 3 && read_back.refused == 0);
	assert_int_equal(store_get(store, second.id, &read_back), 0);
	assert_true(read_back.windows == UINT64_MAX && read_back.refused == 4);
	store_close(store);
}

static void a_store_that_is_locked_by_another_program_reports_it(void **state)
{
	struct key_record record = make_record(1, "acme", "a");
	struct store_usage usage = { .id = "key_aaaaaa000001" };
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

/* --- the pepper --------------------------------------------------------------------------------- */

static int open_pepper(struct store *store, uint8_t ret_pepper[PEPPER_SIZE])
{
	return store_open_pepper(store, temp_path("pepper"), ret_pepper, why, sizeof(why));
}

static void the_pepper_is_made_with_the_store_and_stays(void **state)
{
	uint8_t made[PEPPER_SIZE], read_back[PEPPER_SIZE];
	struct key_record record = make_record(1, "acme", "a");
	struct store *store = open_store();

	(void)state;
	assert_int_equal(open_pepper(store, made), 0);
	assert_int_equal(store_insert(store, &record), 0);
	store_close(store);
	store = open_store();
	assert_int_equal(open_pepper(store, read_back), 0);
	assert_memory_equal(made, read_back, PEPPER_SIZE);
	store_close(store);
}

static void a_lost_pepper_is_an_error_where_there_are_keys(void **state)
{
	struct key_record record = make_record(1, "acme", "a");
	struct store *store = open_store();
	uint8_t pepper[PEPPER_SIZE];

	(void)state;
	assert_int_equal(open_pepper(store, pepper), 0);
	assert_int_equal(store_insert(store, &record), 0);
	assert_int_equal(unlink(temp_path("pepper")), 0);
	assert_int_equal(open_pepper(store, pepper), -ENOKEY);
	assert_non_null(strstr(why, "missing"));
	assert_int_equal(access(temp_path("pepper"), F_OK), -1);
	store_close(store);
}

static void another_pepper_is_an_error_where_there_are_keys(void **state)
{
	struct key_record record = make_record(1, "acme", "a");
	uint8_t pepper[PEPPER_SIZE], other[PEPPER_SIZE];
	struct store *store = open_store();

	(void)state;
	assert_int_equal(open_pepper(store, pepper), 0);
	assert_int_equal(store_insert(store, &record), 0);
	assert_int_equal(unlink(temp_path("pepper")), 0);
	assert_int_equal(pepper_create(temp_path("pepper"), other, why, sizeof(why)), 0);
	assert_int_equal(open_pepper(store, pepper), -EKEYREJECTED);
	assert_non_null(strstr(why, "not the one"));
	store_close(store);
}

static void a_lost_pepper_is_made_anew_where_there_are_no_keys(void **state)
{
	uint8_t former[PEPPER_SIZE], pepper[PEPPER_SIZE];
	struct store *store = open_store();

	(void)state;
	assert_int_equal(open_pepper(store, former), 0);
	assert_int_equal(unlink(temp_path("pepper")), 0);
	assert_int_equal(open_pepper(store, pepper), 0);
	assert_memory_not_equal(former, pepper, PEPPER_SIZE);
	assert_int_equal(open_pepper(store, former), 0);
	assert_memory_equal(former, pepper, PEPPER_SIZE);
	store_close(store);
}

static void the_pepper_is_not_in_the_store(void **state)
{
	struct store *store = open_store();
	uint8_t pepper[PEPPER_SIZE];
	char content[65536];
	size_t length;
	FILE *file;

	(void)state;
	assert_int_equal(open_pepper(store, pepper), 0);
	store_close(store);
	file = fopen(temp_path("sluice.db"), "r");
	assert_non_null(file);
	length = fread(content, 1, sizeof(content), file);
	assert_true(length > 4096 && length < sizeof(content));
	fclose(file);
	assert_null(memmem(content, length, pepper, 8));
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_folder(a_new_store_has_the_newest_schema),
		with_folder(a_new_store_is_the_owners_alone),
		with_folder(a_store_is_opened_by_one_daemon_at_a_time),
		with_folder(a_store_without_its_folder_is_not_made),
		with_folder(a_store_of_a_newer_version_is_refused),
		with_folder(another_programs_database_is_refused_and_untouched),
		with_folder(a_file_that_is_no_database_is_refused_and_untouched),
		with_folder(a_damaged_store_is_refused),
		with_folder(a_store_that_lacks_a_table_is_refused),
		with_folder(a_store_of_any_earlier_version_is_brought_up_to_date),
		with_folder(a_migration_that_fails_leaves_the_store_as_it_was),
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
		with_folder(a_store_that_is_locked_by_another_program_reports_it),
		with_folder(the_pepper_is_made_with_the_store_and_stays),
		with_folder(a_lost_pepper_is_an_error_where_there_are_keys),
		with_folder(another_pepper_is_an_error_where_there_are_keys),
		with_folder(a_lost_pepper_is_made_anew_where_there_are_no_keys),
		with_folder(the_pepper_is_not_in_the_store),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
