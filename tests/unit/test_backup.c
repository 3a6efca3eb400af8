// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Backup and restore: whole or not at all, whatever step of them fails or is the last. */
#include "backup.h"

#include <dirent.h>
#include <sys/resource.h>

#include "captured_log.h"
#include "fault_calls.h"
#include "limit.h"
#include "restore.h"
#include "store_stage.h"

static uint8_t pepper[PEPPER_SIZE];
static struct key_record first, second;

/* --- a state folder, and what others see of it ------------------------------------------------------ */

static struct store *open_state(void)
{
	struct store *store;

	if (store_open(temp_path("state/sluice.db"), &store, why, sizeof(why)) ||
	    store_open_pepper(store, temp_path("state/pepper"), pepper, why, sizeof(why)))
		fail_msg("%s", why);
	return store;
}

static int set_up(void **state)
{
	struct store *store;

	(void)state;
	if (temp_folder_make() || mkdir(temp_path("state"), 0700))
		return -1;
	store = open_state();
	first = make_record(1, "acme", "first");
	second = make_record(2, "acme", "second");
	assert_int_equal(store_insert(store, &first), 0);
	store_close(store);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fault_restart();
	return temp_folder_remove();
}

static void add_second(void)
{
	struct store *store = open_state();

	assert_int_equal(store_insert(store, &second), 0);
	store_close(store);
}

static int back_up(const char *to)
{
	return backup_make(temp_path("state"), temp_path(to), why, sizeof(why));
}

static int restore(const char *from)
{
	return restore_run(temp_path("state"), temp_path(from), why, sizeof(why));
}

/* Number of keys in a store's file, which must be sound and have the pepper beside it. */
static size_t keys_in(const char *folder)
{
	char path[64], pepper_path[64];
	sqlite3_stmt *statement;
	sqlite3 *database;
	size_t count;

	snprintf(path, sizeof(path), "%.53s/sluice.db", folder);
	snprintf(pepper_path, sizeof(pepper_path), "%.53s/pepper", folder);
	if (backup_verify(temp_path(path), temp_path(pepper_path), why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(sqlite3_open_v2(temp_path(path), &database, SQLITE_OPEN_READONLY, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM keys", -1, &statement,
					    NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	count = (size_t)sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return count;
}

/* Number of a folder's entries, and the first whose name begins like that. */
static int list(const char *folder, const char *begin, char ret_name[48])
{
	DIR *entries = opendir(temp_path(folder));
	struct dirent *entry;
	int count = 0;

	assert_non_null(entries);
	while ((entry = readdir(entries))) {
		/* Whoever reads a store leaves these beside it. */
		if (*entry->d_name == '.' || strstr(entry->d_name, "-wal") ||
		    strstr(entry->d_name, "-shm"))
			continue;
		count++;
		if (begin && !strncmp(entry->d_name, begin, strlen(begin)))
			snprintf(ret_name, 48, "%.47s", entry->d_name);
	}
	closedir(entries);
	return count;
}

/* A byte in the middle of a file becomes another. */
static void damage(const char *path, long at)
{
	FILE *file = fopen(temp_path(path), "r+");

	assert_non_null(file);
	fseek(file, at, SEEK_SET);
	for (int i = 0; i < 64; i++)
		fputc(0xa5, file);
	assert_int_equal(fclose(file), 0);
}

/* --- backups ----------------------------------------------------------------------------------------- */

static void of_a_store_in_use(void **state)
{
	struct store *store = open_state();
	struct stat status;

	(void)state;
	assert_int_equal(store_insert(store, &second), 0); /* in the journal alone */
	assert_int_equal(back_up("backup"), 0);
	assert_int_equal(store_delete(store, second.id), 0);
	assert_int_equal(keys_in("backup"), 2);
	store_close(store);
	assert_int_equal(list("backup", NULL, NULL), 2);
	assert_int_equal(stat(temp_path("backup"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(stat(temp_path("backup/sluice.db"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

/* A second key, by a process that does not close the store: it is in the journal alone. */
static void insert_and_be_killed(void)
{
	if (!fork()) {
		store_insert(open_state(), &second);
		_exit(0);
	}
	wait(NULL);
}

static void of_a_store_whose_daemon_was_killed(void **state)
{
	(void)state;
	insert_and_be_killed();
	assert_int_equal(back_up("backup"), 0);
	assert_int_equal(keys_in("backup"), 2);
	assert_int_equal(keys_in("state"), 2);
}

static void refused_where_something_is(void **state)
{
	char name[48] = "";

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	add_second();
	assert_int_equal(back_up("backup"), -ENOTEMPTY);
	assert_non_null(strstr(why, "is not empty: nothing in it is overwritten"));
	assert_int_equal(keys_in("backup"), 1);
	assert_int_equal(mkdir(temp_path("open"), 0755), 0);
	assert_int_equal(back_up("open"), -EPERM);
	assert_int_equal(back_up("none/backup"), -ENOENT);
	assert_int_equal(list("open", "x", name), 0);
}

/* A folder that cannot be read may hold a backup, which must survive. */
static void refused_where_nobody_can_look(void **state)
{
	struct rlimit before, none;
	int free_fd, err;

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	free_fd = dup(STDIN_FILENO);
	close(free_fd);
	none = before;
	none.rlim_cur = (rlim_t)free_fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	err = back_up("backup");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(err, -EMFILE);
	assert_non_null(strstr(why, "Cannot read the folder"));
	assert_int_equal(keys_in("backup"), 1);
}

static void refused(const char *message)
{
	assert_true(back_up("backup") < 0);
	if (!strstr(why, message))
		fail_msg("%s", why);
	assert_int_equal(access(temp_path("backup"), F_OK), -1);
}

static void of_what_is_no_whole_store(void **state)
{
	uint8_t other[PEPPER_SIZE] = { 1 };

	(void)state;
	assert_int_equal(rename(temp_path("state/pepper"), temp_path("kept")), 0);
	refused("state/pepper: No such file");
	assert_int_equal(pepper_save(temp_path("state/pepper"), other, why, sizeof(why)), 0);
	refused("does not belong to the store");
	assert_int_equal(rename(temp_path("kept"), temp_path("state/pepper")), 0);
	damage("state/sluice.db", 3 * 4096);
	refused("is damaged");
	damage("state/sluice.db", 0);
	refused("is not a Sluice store");
	assert_int_equal(unlink(temp_path("state/sluice.db")), 0);
	refused("state/sluice.db: No such file");
}

/* --- restores ---------------------------------------------------------------------------------------- */

static void puts_the_backup_in_place(void **state)
{
	char name[48] = "", kept[64];

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	add_second();
	assert_int_equal(restore("backup"), 0);
	assert_int_equal(keys_in("state"), 1);
	assert_int_equal(list("state", "before-restore-2", name), 3);
	snprintf(kept, sizeof(kept), "state/%s", name);
	assert_int_equal(keys_in(kept), 2);
	assert_int_equal(keys_in("backup"), 1);
	store_close(open_state());
}

static void where_there_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(back_up("backup"), 0);
	assert_int_equal(rename(temp_path("state"), temp_path("away")), 0);
	assert_int_equal(restore("backup"), 0);
	assert_int_equal(keys_in("state"), 1);
	assert_int_equal(list("state", NULL, NULL), 2);
}

static void of_what_is_damaged(void **state)
{
	char name[48] = "";

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	damage("state/sluice.db", 0);
	assert_int_equal(unlink(temp_path("state/pepper")), 0);
	assert_int_equal(restore("backup"), 0);
	assert_int_equal(keys_in("state"), 1);
	assert_int_equal(list("state", "before-restore-2", name), 3);
}

/* What a killed daemon left in the journal of the former store must not get into the new one. */
static void over_a_journal(void **state)
{
	char name[48] = "", kept[64];

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	insert_and_be_killed();
	assert_int_equal(restore("backup"), 0);
	assert_int_equal(keys_in("state"), 1);
	list("state", "before-restore-2", name);
	snprintf(kept, sizeof(kept), "state/%.47s", name);
	assert_int_equal(keys_in(kept), 2);
}

static void not_while_a_daemon_runs(void **state)
{
	struct store *store;

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	store = open_state();
	assert_int_equal(restore("backup"), -EBUSY);
	assert_non_null(strstr(why, "another sluiced uses it"));
	store_close(store);
}

static void restore_refused(const char *message)
{
	assert_true(restore("backup") < 0);
	if (!strstr(why, message))
		fail_msg("%s", why);
	assert_int_equal(keys_in("state"), 2);
	assert_int_equal(list("state", NULL, NULL), 2);
}

static void not_of_a_bad_backup(void **state)
{
	uint8_t other[PEPPER_SIZE] = { 1 };

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	add_second();
	assert_int_equal(rename(temp_path("backup/pepper"), temp_path("kept")), 0);
	restore_refused("backup/pepper: No such file");
	assert_int_equal(pepper_save(temp_path("backup/pepper"), other, why, sizeof(why)), 0);
	restore_refused("backup/pepper does not belong to the store");
	assert_int_equal(rename(temp_path("kept"), temp_path("backup/pepper")), 0);
	damage("backup/sluice.db", 3 * 4096);
	restore_refused("backup/sluice.db is damaged");
	assert_int_equal(unlink(temp_path("backup/sluice.db")), 0);
	restore_refused("backup/sluice.db: No such file");
}

static uint64_t windows_of(uint32_t minute, uint32_t used_minute, uint32_t used_day)
{
	return limit_pack(&(struct limit_windows){
		.minute = minute, .used_minute = used_minute, .used_day = used_day });
}

static void save(struct store *store, const char *id, uint64_t windows, uint64_t admitted)
{
	struct store_usage usage = { .windows = windows, .admitted = admitted };
	struct key_record record;

	assert_int_equal(store_get(store, id, &record), 0);
	usage.number = record.number;
	assert_int_equal(store_save_usage(store, &usage, 1), 0);
}

/* Of two keys, one was used since the backup, and the other revoked. */
static void refills_nothing(void **state)
{
	struct store *store = open_state();
	struct key_record record;
	const char *log;

	(void)state;
	assert_int_equal(store_insert(store, &second), 0);
	save(store, first.id, windows_of(28000000, 5, 50), 70);
	assert_int_equal(back_up("backup"), 0);
	save(store, first.id, windows_of(28000001, 3, 60), 80);
	second.windows = windows_of(28000001, 1, 9);
	second.admitted = 9;
	assert_int_equal(store_revoke(store, &second), 0);
	store_close(store);

	log_capture();
	assert_int_equal(restore("backup"), 0);
	log = log_captured();
	assert_non_null(strstr(log, second.id));
	assert_non_null(strstr(log, "was revoked since the backup, and is valid again"));
	assert_null(strstr(log, first.id));
	store = open_state();
	assert_int_equal(store_get(store, first.id, &record), 0);
	assert_true(record.windows == windows_of(28000001, 3, 60));
	assert_int_equal(record.admitted, 80);
	assert_int_equal(store_get(store, second.id, &record), 0);
	assert_true(record.windows == windows_of(28000001, 1, 9));
	assert_int_equal(record.status, KEY_ACTIVE);
	store_close(store);
}

/* Keys that the backup does not know are counted, as a sentence has it. */
static void counts_newer_keys(void **state)
{
	struct store *store = open_state();

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	assert_int_equal(store_insert(store, &second), 0);
	store_close(store);
	log_capture();
	assert_int_equal(restore("backup"), 0);
	assert_non_null(strstr(log_captured(),
			       "1 key was made since the backup and is refused from "
			       "the next start on."));
}

/* --- every step -------------------------------------------------------------------------------------- */

/* Run it in a process of its own, which the fault may end. Returns 0, 1: failed, 2: ended. */
static int meet(int (*run)(const char *folder), enum fault_kind kind, int at, int *ret_steps)
{
	int status, pipes[2];
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (!child) {
		int err;

		log_capture();
		fault_arm(kind, at, false, 0);
		err = run("backup");
		if (write(pipes[1], &faults.steps, sizeof(faults.steps)) < 0)
			_exit(9);
		_exit(err != 0);
	}
	close(pipes[1]);
	waitpid(child, &status, 0);
	if (read(pipes[0], ret_steps, sizeof(*ret_steps)) < 0)
		fail();
	close(pipes[0]);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == FAULT_KILLED)
		return 2;
	assert_in_range(WEXITSTATUS(status), 0, 1);
	return WEXITSTATUS(status);
}

static const enum fault_kind kinds[] = { FAULT_FULL, FAULT_ERROR, FAULT_KILL };

static void again(void)
{
	fault_restart();
	temp_folder_remove();
	set_up(NULL);
}

static void backup_at_every_step(void **state)
{
	int steps = 0, result, unused;

	(void)state;
	assert_int_equal(meet(back_up, FAULT_NONE, 0, &steps), 0);
	assert_in_range(steps, 10, 1000);
	for (int at = 1; at <= steps; at++) {
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			again();
			result = meet(back_up, kinds[i], at, &unused);
			if (result == 1) /* told as failed: nothing is left */
				assert_int_equal(access(temp_path("backup"), F_OK), -1);
			else if (!access(temp_path("backup/sluice.db"), F_OK))
				assert_int_equal(keys_in("backup"), 1);
			else
				assert_int_equal(result, 2);
			assert_int_equal(keys_in("state"), 1);
		}
	}
}

/* The next start finds the one or the other, and a restore can be done again. */
static void restore_at_every_step(void **state)
{
	int steps = 0, result, old = 0, unused;
	size_t found;

	(void)state;
	assert_int_equal(back_up("backup"), 0);
	add_second();
	assert_int_equal(meet(restore, FAULT_NONE, 0, &steps), 0);
	assert_in_range(steps, 20, 1000);
	for (int at = 1; at <= steps; at++) {
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			again();
			assert_int_equal(back_up("backup"), 0);
			add_second();
			result = meet(restore, kinds[i], at, &unused);
			log_capture();
			store_close(open_state());
			found = keys_in("state");
			assert_in_range(found, 1, 2);
			if (result == 0)
				assert_int_equal(found, 1);
			old += found == 2;
			assert_int_equal(restore("backup"), 0);
			log_captured();
			assert_int_equal(keys_in("state"), 1);
			assert_int_equal(access(temp_path("state/restore"), F_OK), -1);
			assert_int_equal(access(temp_path("state/restore.partial"), F_OK), -1);
		}
	}
	assert_in_range(old, 3, 3 * steps - 3);
}

/* --- the pepper --------------------------------------------------------------------------------------- */

static int save_pepper(const char *name)
{
	return pepper_save(temp_path(name), pepper, why, sizeof(why));
}

/* Its content is on disk before its name is. Where it is told as failed, it is not there. */
static void pepper_at_every_step(void **state)
{
	uint8_t found[PEPPER_SIZE];
	int result, unused;

	(void)state;
	fault_watch();
	assert_int_equal(save_pepper("whole"), 0);
	assert_string_equal(fault_trace, "fsync linkat fsync");
	for (int at = 1; at <= 3; at++) {
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			result = meet(save_pepper, kinds[i], at, &unused);
			assert_int_equal(result, kinds[i] == FAULT_KILL ? 2 : 1);
			if (at < 3 || result == 1) {
				assert_int_equal(access(temp_path("backup"), F_OK), -1);
				continue;
			}
			assert_int_equal(save_pepper("backup"), -EEXIST);
			assert_int_equal(pepper_load(temp_path("backup"), found, why, sizeof(why)),
					 0);
			assert_memory_equal(pepper, found, PEPPER_SIZE);
			assert_int_equal(unlink(temp_path("backup")), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("a store in use is backed up as it is at that moment", of_a_store_in_use),
		ROW("so is one whose daemon was killed, with what its journal has",
		    of_a_store_whose_daemon_was_killed),
		ROW("a backup overwrites nothing, and is closed to others",
		    refused_where_something_is),
		ROW("a backup in a folder that cannot be read survives another",
		    refused_where_nobody_can_look),
		ROW("what is damaged or lacks its pepper is not backed up, and nothing is left",
		    of_what_is_no_whole_store),
		ROW("a restore puts the backup in place and keeps what was there",
		    puts_the_backup_in_place),
		ROW("a state folder that is gone is made", where_there_is_nothing),
		ROW("what is damaged is no hindrance", of_what_is_damaged),
		ROW("the journal of the former store stays with it", over_a_journal),
		ROW("nothing is restored under a daemon that runs", not_while_a_daemon_runs),
		ROW("a bad backup is refused, and nothing changed", not_of_a_bad_backup),
		ROW("a restore refills no limit, and tells which keys are valid again",
		    refills_nothing),
		ROW("keys that are newer than the backup are counted", counts_newer_keys),
		ROW("a backup that fails or is killed at any step is whole or none",
		    backup_at_every_step),
		ROW("a restore that fails or is killed at any step is whole or none",
		    restore_at_every_step),
		ROW("a pepper is whole or not there, whatever step fails or is the last",
		    pepper_at_every_step),
	};

	if (sodium_init() < 0)
		return 1;
	fault_install();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
