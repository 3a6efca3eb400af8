// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the store refuses to open, how it is brought up to date, and its pepper. */
#include "store.h"

#include <sys/stat.h>
#include <unistd.h>

#include "store_stage.h"

/* --- opening ----------------------------------------------------------------------------------- */

static void a_new_store_has_the_newest_schema(void **state)
{
	(void)state;
	store_close(open_store());
	assert_int_equal(stored_number("PRAGMA user_version"), store_schema.version);
	assert_int_equal(stored_number("PRAGMA application_id"), STORE_APPLICATION_ID);
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
	assert_int_equal(stored_number("PRAGMA user_version"), 99);
}

static void another_programs_database_is_refused_and_untouched(void **state)
{
	(void)state;
	change_file("CREATE TABLE theirs (a)");
	assert_int_equal(try_open(), -EMEDIUMTYPE);
	assert_non_null(strstr(why, "not a Sluice store"));
	assert_int_equal(stored_number("SELECT count(*) FROM sqlite_schema"), 1);
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

/* A key that only the table has would be listed by id, and not be put in force. */
static void a_store_whose_index_lacks_a_key_is_refused(void **state)
{
	struct store *store = open_store();
	struct key_record record = make_record(1, "acme", "a");

	(void)state;
	assert_int_equal(store_insert(store, &record), 0);
	store_close(store);
	change_file("CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'keys_status';"
		    "PRAGMA writable_schema = ON;"
		    "DELETE FROM sqlite_schema WHERE name = 'keys_status'");
	change_file("INSERT INTO keys SELECT 9, 'key_bbbbbbbbbbbb', account, 'b', prefix, "
		    "zeroblob(16), status, per_minute, per_day, expires_ms, created_ms, 0, 0, 0, 0 "
		    "FROM keys");
	change_file("PRAGMA writable_schema = ON;"
		    "INSERT INTO sqlite_schema SELECT * FROM kept; DROP TABLE kept");
	assert_int_equal(try_open(), -EUCLEAN);
	assert_non_null(strstr(why, "missing from index keys_status"));
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
	err = store_schema_check(database, &schema, true, "the file", why, sizeof(why));
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
		assert_int_equal(stored_number("PRAGMA user_version"), former);
		assert_int_equal(migrate(good_steps, 3), 0);
		assert_int_equal(stored_number("PRAGMA user_version"), 3);
		assert_int_equal(stored_number("SELECT b FROM first"), 3);
		assert_int_equal(unlink(temp_path("sluice.db")), 0);
	}
}

static void a_migration_that_fails_leaves_the_store_as_it_was(void **state)
{
	(void)state;
	assert_int_equal(migrate(bad_steps, 1), 0);
	assert_int_equal(migrate(bad_steps, 2), -EIO);
	assert_non_null(strstr(why, "nowhere"));
	assert_int_equal(stored_number("PRAGMA user_version"), 1);
	assert_int_equal(stored_number("SELECT a FROM first"), 1);
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
	randombytes_buf(other, sizeof(other));
	assert_int_equal(pepper_save(temp_path("pepper"), other, why, sizeof(why)), 0);
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

/* An empty store would take every key out of force. */
static void a_lost_store_is_an_error_where_its_pepper_is_left(void **state)
{
	struct store *store = open_store();
	uint8_t pepper[PEPPER_SIZE];

	(void)state;
	assert_int_equal(open_pepper(store, pepper), 0);
	store_close(store);
	assert_int_equal(unlink(temp_path("sluice.db")), 0);
	for (int i = 0; i < 2; i++) {
		store = open_store();
		assert_int_equal(open_pepper(store, pepper), -ENODATA);
		assert_non_null(strstr(why, "move the pepper away"));
		store_close(store);
	}
	assert_int_equal(unlink(temp_path("pepper")), 0);
	store = open_store();
	assert_int_equal(open_pepper(store, pepper), 0);
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
		with_folder(a_store_whose_index_lacks_a_key_is_refused),
		with_folder(a_store_that_lacks_a_table_is_refused),
		with_folder(a_store_of_any_earlier_version_is_brought_up_to_date),
		with_folder(a_migration_that_fails_leaves_the_store_as_it_was),
		with_folder(the_pepper_is_made_with_the_store_and_stays),
		with_folder(a_lost_pepper_is_an_error_where_there_are_keys),
		with_folder(another_pepper_is_an_error_where_there_are_keys),
		with_folder(a_lost_pepper_is_made_anew_where_there_are_no_keys),
		with_folder(a_lost_store_is_an_error_where_its_pepper_is_left),
		with_folder(the_pepper_is_not_in_the_store),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
