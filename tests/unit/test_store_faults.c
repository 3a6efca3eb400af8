// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every step of every change meets a full disk, an error, and a power cut. What is found when the
 * store is opened again is the old or the new, never a mixture, and what the caller was told is so.
 */
#include "captured_log.h"
#include "fault_vfs.h"
#include "registry_stage.h"
#include "store_schema.h"
#include "sync_state.h"

#define TORN_SEEDS 6
#define FUTURE_MS  4102444800000 /* when the second key expires */

enum told { DONE, UNCHANGED, UNKNOWN };

/* A change to a store with a few keys. */
struct change {
	enum told (*run)(void);
	bool closes; /* the store is closed by it */
	int steps;   /* at least, so that the test is one */
};

static struct key_record first, second;
static struct fault_image before[2]; /* of sluice.db and pepper, where a change begins */

/* --- the stage ------------------------------------------------------------------------------------- */

static const char *const files[] = { "sluice.db", "sluice.db-wal", "sluice.db-journal",
				     "sluice.db-shm", "pepper" };

static void open_all(void)
{
	struct registry_options options = { .keys_per_account = KEY_PER_ACCOUNT_DEFAULT,
					    .key_word = KEY_WORD_DEFAULT };

	if (store_open(temp_path("sluice.db"), &store, why, sizeof(why)) ||
	    store_open_pepper(store, temp_path("pepper"), options.pepper, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(sync_start(kernel, store, &joined, why, sizeof(why)), 0);
	assert_int_equal(registry_open(&options, store, joined, &registry), 0);
}

static void close_all(void)
{
	registry_close(registry);
	sync_stop(joined);
	store_close(store);
	registry = NULL;
	joined = NULL;
	store = NULL;
}

static void put_files(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(temp_path(files[i]));
	fault_write_back(temp_path("sluice.db"), &before[0]);
	fault_write_back(temp_path("pepper"), &before[1]);
}

static int make_stage(void **state)
{
	(void)state;
	if (temp_folder_make())
		return -1;
	log_capture();
	kernel = fake_kernel_make(SLOTS);
	open_all();
	first = create("acme", "first");
	assert_int_equal(try_create(&(struct key_request){ .account = "acme",
							   .label = "second",
							   .expires_ms = &(uint64_t){ FUTURE_MS } },
				    &second),
			 0);
	close_all();
	before[0] = fault_read(temp_path("sluice.db"));
	before[1] = fault_read(temp_path("pepper"));
	return 0;
}

static int drop_stage(void **state)
{
	(void)state;
	fault_restart();
	fake_kernel_free(kernel);
	fault_drop(&before[0]);
	fault_drop(&before[1]);
	log_captured();
	return temp_folder_remove();
}

/* --- what is on disk ------------------------------------------------------------------------------- */

static const char *const contents =
	"SELECT group_concat(account || ' ' || label || ' ' || status || ' ' || per_minute || ' ' "
	"||"
	" admitted, ', ') || (SELECT count(*) FROM installation) FROM keys";

/* All that a store holds, as one text, which must be freed; the store must be sound. */
static char *dump(const char *path)
{
	sqlite3_stmt *statement;
	sqlite3 *database;
	char *text;

	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, HEALTHY_VFS),
			 SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement,
					    NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
	sqlite3_finalize(statement);
	if (sqlite3_prepare_v2(database, contents, -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		text = strdup((const char *)sqlite3_column_text(statement, 0) ?: "no keys");
	else
		text = strdup("no tables");
	sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
	return text;
}

/* As a kill leaves it at this moment: the files as they are, without the shared index. */
static char *dump_as_killed(void)
{
	char *text;

	for (size_t i = 0; i < 3; i++) {
		struct fault_image image = fault_read(temp_path(files[i]));
		char name[64];

		snprintf(name, sizeof(name), "killed-%s", files[i]);
		fault_write_back(temp_path(name), &image);
		fault_drop(&image);
	}
	text = dump(temp_path("killed-sluice.db"));
	unlink(temp_path("killed-sluice.db"));
	unlink(temp_path("killed-sluice.db-wal"));
	unlink(temp_path("killed-sluice.db-shm"));
	return text;
}

struct outcome {
	char *old;
	char *new;
	const char *how; /* of the fault, for messages */
	int at;
};

static void expect(const struct outcome *outcome, enum told told, char *found)
{
	bool is_old = !strcmp(found, outcome->old), is_new = !strcmp(found, outcome->new);

	if ((told == DONE && !is_new) || (told == UNCHANGED && !is_old) || (!is_old && !is_new)) {
		printf("# %s at step %d, told %d: \"%s\", was \"%s\", to be \"%s\"\n", outcome->how,
		       outcome->at, told, found, outcome->old, outcome->new);
		fail();
	}
	free(found);
}

/* --- changes --------------------------------------------------------------------------------------- */

static enum told told_by(int err)
{
	if (err >= 0)
		return DONE;
	assert_int_equal(failure.status, 503);
	if (strstr(failure.message, "Nothing was changed."))
		return UNCHANGED;
	assert_non_null(strstr(failure.message, "may be found when sluiced starts again"));
	return UNKNOWN;
}

static enum told told_by_store(int err)
{
	return !err ? DONE : err == -ENOTRECOVERABLE ? UNKNOWN : UNCHANGED;
}

static enum told run_create(void)
{
	struct key_record record;

	return told_by(
		try_create(&(struct key_request){ .account = "acme", .label = "third" }, &record));
}

static enum told run_edit(void)
{
	struct key_change change = { .label = "changed", .per_minute = &(int64_t){ 7 } };
	struct key_record record;

	return told_by(registry_edit(registry, first.id, &change, &record, &failure));
}

static enum told run_revoke(void)
{
	struct key_record record;

	return told_by(registry_revoke(registry, second.id, &record, &failure));
}

static enum told run_save(void)
{
	kernel->usage[policy_of(&first)->slot].admitted = 40;
	kernel->usage[policy_of(&second)->slot].admitted = 2;
	return told_by_store(sync_save_usage(joined));
}

static enum told run_expire(void)
{
	return told_by_store(sync_sweep(joined, FUTURE_MS));
}

/* Many changes wait in the journal, which closing moves into the file. */
static enum told run_close(void)
{
	int kind = faults.kind;

	fault_disarm();
	for (int i = 0; i < 50; i++) {
		first.per_minute = i % 2 ? 60 : 61;
		assert_int_equal(store_update(store, &first), 0);
	}
	faults.kind = kind;
	faults.steps = 0;
	close_all();
	return DONE;
}

/* --- every step ------------------------------------------------------------------------------------ */

/* What the registry says of keys, what is in force, and what the store holds are the same. */
static void expect_agreement(void)
{
	struct key_record *records;
	size_t count, active = 0;

	assert_int_equal(registry_list(registry, NULL, &records, &count, &failure), 0);
	for (size_t i = 0; i < count; i++) {
		const struct key_policy *policy = policy_of(&records[i]);

		if (records[i].status != KEY_ACTIVE)
			continue;
		active++;
		assert_non_null(policy);
		assert_int_equal(policy->per_minute, records[i].per_minute);
		assert_int_equal(policy->per_day, records[i].per_day);
	}
	assert_int_equal(active, kernel->count);
	free(records);
}

static void begin(void)
{
	fault_restart();
	put_files();
	fake_kernel_free(kernel);
	kernel = fake_kernel_make(SLOTS);
	open_all();
}

/* The change as it is without a fault: what it leads from and to. Returns its number of steps. */
static int rehearse(const struct change *change, struct outcome *ret_outcome)
{
	int steps;

	begin();
	ret_outcome->old = dump_as_killed();
	fault_arm(FAULT_NONE, 0, false, 0);
	assert_int_equal(change->run(), DONE);
	steps = faults.steps;
	if (!change->closes)
		close_all();
	ret_outcome->new = dump(temp_path("sluice.db"));
	assert_in_range(steps, change->steps, 1000);
	return steps;
}

static void meet_error(const struct change *change, struct outcome *outcome, enum fault_kind kind,
		       bool lasts)
{
	struct key_record record;
	enum told told;

	outcome->how = kind == FAULT_FULL ? "disk full" : "I/O error";
	begin();
	fault_arm(kind, outcome->at, lasts, 0);
	told = change->run();
	fault_disarm();
	expect(outcome, told, dump_as_killed());
	if (change->closes)
		return;

	/* The disk is well again, and so is the daemon. */
	expect_agreement();
	if (told == UNKNOWN)
		told = UNCHANGED; /* now that another change can be written over it */
	assert_int_equal(store_get(store, first.id, &record), 0);
	assert_int_equal(store_update(store, &record), 0);
	expect(outcome, told, dump_as_killed());
	sync_free(joined); /* saves nothing */
	joined = NULL;
	close_all();
	expect(outcome, told, dump(temp_path("sluice.db")));
}

static void meet_cut(const struct change *change, struct outcome *outcome, enum fault_kind kind,
		     unsigned int seed)
{
	enum told told;

	outcome->how = kind == FAULT_CUT_KEPT	? "kill"
		       : kind == FAULT_CUT_LOST ? "power cut, all lost"
						: "power cut, torn";
	begin();
	fault_arm(kind, outcome->at, true, seed);
	told = change->run();
	if (!faults.cut)
		fault_cut(); /* as soon as it was told */
	if (!change->closes)
		close_all();
	fault_restart();
	unlink(temp_path("sluice.db-shm"));
	expect(outcome, told, dump(temp_path("sluice.db")));
}

static void at_every_step(const struct change *change)
{
	struct outcome outcome = { 0 };
	int steps = rehearse(change, &outcome);

	/* Behind the last step, there is still the moment in which the caller was told. */
	for (outcome.at = 1; outcome.at <= steps + 1; outcome.at++) {
		for (int lasts = 0; lasts <= 1; lasts++) {
			meet_error(change, &outcome, FAULT_FULL, lasts);
			meet_error(change, &outcome, FAULT_ERROR, lasts);
		}
		meet_cut(change, &outcome, FAULT_CUT_KEPT, 0);
		meet_cut(change, &outcome, FAULT_CUT_LOST, 0);
		for (unsigned int seed = 0; seed < TORN_SEEDS; seed++)
			meet_cut(change, &outcome, FAULT_CUT_TORN, outcome.at * 97 + seed);
	}
	free(outcome.old);
	free(outcome.new);
}

static void creating(void **state)
{
	(void)state;
	at_every_step(&(struct change){ .run = run_create, .steps = 5 });
}

static void editing(void **state)
{
	(void)state;
	at_every_step(&(struct change){ .run = run_edit, .steps = 3 });
}

static void revoking(void **state)
{
	(void)state;
	at_every_step(&(struct change){ .run = run_revoke, .steps = 3 });
}

static void saving(void **state)
{
	(void)state;
	at_every_step(&(struct change){ .run = run_save, .steps = 3 });
}

static void expiring(void **state)
{
	(void)state;
	at_every_step(&(struct change){ .run = run_expire, .steps = 3 });
}

static void closing(void **state)
{
	(void)state;
	at_every_step(&(struct change){ .run = run_close, .closes = true, .steps = 4 });
}

/* --- the first start ------------------------------------------------------------------------------- */

static int open_first(uint8_t ret_pepper[PEPPER_SIZE])
{
	int err = store_open(temp_path("sluice.db"), &store, why, sizeof(why));

	return err ? err
		   : store_open_pepper(store, temp_path("pepper"), ret_pepper, why, sizeof(why));
}

static void leave_first(void)
{
	store_close(store);
	store = NULL;
}

/* Whatever became of the first start, the second makes it good. */
static void start_twice(enum fault_kind kind, int at, bool lasts)
{
	uint8_t made[PEPPER_SIZE], found[PEPPER_SIZE];
	int err;

	before[0].size = before[1].size = -1;
	put_files();
	*why = '\0';
	fault_arm(kind, at, lasts, at);
	err = open_first(made);
	leave_first();
	if (err)
		assert_true(*why);
	fault_restart();
	unlink(temp_path("sluice.db-shm"));
	if (open_first(found))
		fail_msg("fault %d at step %d, then: %s", kind, at, why);
	if (!err)
		assert_memory_equal(made, found, PEPPER_SIZE);
	leave_first();
	free(dump(temp_path("sluice.db")));
}

static int keep_nothing(void **state)
{
	if (make_stage(state))
		return -1;
	fault_drop(&before[0]);
	fault_drop(&before[1]);
	return 0;
}

static void starting(void **state)
{
	int steps;

	(void)state;
	start_twice(FAULT_NONE, 0, false);
	put_files();
	fault_arm(FAULT_NONE, 0, false, 0);
	assert_int_equal(open_first((uint8_t[PEPPER_SIZE]){ 0 }), 0);
	steps = faults.steps;
	leave_first();
	assert_in_range(steps, 10, 1000);
	for (int at = 1; at <= steps; at++) {
		start_twice(FAULT_FULL, at, false);
		start_twice(FAULT_FULL, at, true);
		start_twice(FAULT_ERROR, at, false);
		start_twice(FAULT_ERROR, at, true);
		start_twice(FAULT_CUT_KEPT, at, true);
		start_twice(FAULT_CUT_LOST, at, true);
		start_twice(FAULT_CUT_TORN, at, true);
	}
}

/* --- migration --------------------------------------------------------------------------------------- */

static const char *const history[] = {
	"CREATE TABLE keys (account, label, status, per_minute, admitted);"
	"CREATE TABLE installation (a);"
	"INSERT INTO keys VALUES ('acme', 'first', 0, 60, 0), ('acme', 'second', 1, 60, 1)",
	"ALTER TABLE keys ADD COLUMN per_day; UPDATE keys SET per_minute = 7;"
	"CREATE TABLE more (a); INSERT INTO installation VALUES (1)",
};

static int migrate(int version)
{
	struct store_schema schema = { .steps = history, .version = version };
	sqlite3 *database;
	int err = -EIO;

	if (sqlite3_open(temp_path("sluice.db"), &database) == SQLITE_OK &&
	    sqlite3_exec(database, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) == SQLITE_OK)
		err = store_schema_migrate(database, &schema, "the file", why, sizeof(why));
	sqlite3_close(database);
	return err;
}

static void migrate_at(struct outcome *outcome, enum fault_kind kind, bool lasts)
{
	enum told told;

	fault_restart();
	put_files();
	fault_arm(kind, outcome->at, lasts, outcome->at);
	told = migrate(2) ? UNKNOWN : DONE;
	fault_restart();
	unlink(temp_path("sluice.db-shm"));
	expect(outcome, told, dump(temp_path("sluice.db")));
	assert_int_equal(migrate(2), 0);
	expect(outcome, DONE, dump(temp_path("sluice.db")));
}

static void migrating(void **state)
{
	struct outcome outcome = { .how = "migration" };
	int steps;

	(void)state;
	put_files();
	assert_int_equal(migrate(1), 0);
	outcome.old = dump(temp_path("sluice.db"));
	before[0] = fault_read(temp_path("sluice.db"));
	fault_arm(FAULT_NONE, 0, false, 0);
	assert_int_equal(migrate(2), 0);
	steps = faults.steps;
	outcome.new = dump(temp_path("sluice.db"));
	assert_string_not_equal(outcome.old, outcome.new);
	assert_in_range(steps, 5, 1000);
	for (outcome.at = 1; outcome.at <= steps; outcome.at++) {
		for (enum fault_kind kind = FAULT_FULL; kind <= FAULT_CUT_TORN; kind++)
			migrate_at(&outcome, kind, true);
		migrate_at(&outcome, FAULT_FULL, false);
		migrate_at(&outcome, FAULT_ERROR, false);
	}
	free(outcome.old);
	free(outcome.new);
}

#define FROM_KEYS(name, test)                                                                      \
	{                                                                                          \
		name, test, make_stage, drop_stage, NULL                                           \
	}
#define FROM_NOTHING(name, test)                                                                   \
	{                                                                                          \
		name, test, keep_nothing, drop_stage, NULL                                         \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FROM_KEYS("creating a key: old or new, as was told", creating),
		FROM_KEYS("editing a key: old or new, as was told", editing),
		FROM_KEYS("revoking a key: old or new, as was told", revoking),
		FROM_KEYS("saving usage: of all keys or of none, as was told", saving),
		FROM_KEYS("expiring a key: old or new, as was told", expiring),
		FROM_KEYS("closing the store loses nothing", closing),
		FROM_NOTHING("a first start that is cut short is made good by the next", starting),
		FROM_NOTHING("a migration is whole or did not happen", migrating),
	};

	if (sodium_init() < 0)
		return 1;
	fault_install();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}
