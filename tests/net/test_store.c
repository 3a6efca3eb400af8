// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The store fails, under a daemon that runs and before one that starts: the error is clear, nothing is
 * overwritten, and the gate goes on with the keys it has. And it comes back from a backup.
 */
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"

static const char *const names[] = { "sluice.db", "sluice.db-wal", "pepper" };

static const char *in_state(const char *name)
{
	static char paths[4][128];
	static int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", stage.state, name);
	return path;
}

/* A file's content; size -1: there is none. */
struct image {
	char *data;
	ssize_t size;
};

static struct image image_of(const char *name)
{
	struct image image = { .size = -1 };
	size_t size;

	if (access(in_state(name), F_OK))
		return image;
	image.data = read_file(in_state(name), &size);
	image.size = (ssize_t)size;
	return image;
}

static void write_image(const char *name, const struct image *image)
{
	FILE *file;

	unlink(in_state(name));
	if (image->size < 0)
		return;
	file = fopen(in_state(name), "we");
	assert_non_null(file);
	assert_int_equal(fwrite(image->data, 1, image->size, file), image->size);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(in_state(name), 0600), 0);
}

/* --- what the gate does --------------------------------------------------------------------------- */

static int ask(const struct key *key)
{
	struct client *client = client_open(applications[NGINX].port);
	int status = client_get(client, "/", key ? key->text : unknown_key());

	client_close(client);
	return status;
}

static void expect_enforced(const struct key *key)
{
	assert_int_equal(ask(key), 200);
	assert_int_equal(ask(NULL), 401);
}

static int create(const char *label, char *ret_text, size_t size)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"account\":\"store\",\"label\":\"%s\"}", label);
	return api("POST", "/v1/keys", body, ret_text, size);
}

/* A change is refused with this reason, and the gate goes on. */
static void expect_unavailable(const char *reason, const struct key *key)
{
	char text[1024];

	assert_int_equal(create("refused", text, sizeof(text)), 503);
	if (!strstr(text, "\"UNAVAILABLE\"") || !strstr(text, reason) ||
	    !strstr(text, "Nothing was changed."))
		fail_msg("%s", text);
	expect_enforced(key);
}

static void expect_available(void)
{
	static int serial;
	char label[32], text[1024];

	snprintf(label, sizeof(label), "good %d", serial++);
	if (create(label, text, sizeof(text)) != 201)
		fail_msg("%s", text);
}

/* --- running the daemon where it must not run --------------------------------------------------------- */

#define ARGUMENTS_MAX 80

/* Run sluiced with the stage's folders and two more arguments; returns its exit status. */
static int run(const char *log, const char *option, const char *value)
{
	bool ports_in_file = daemon_ports_in_file;
	char *arguments[ARGUMENTS_MAX];
	char *const *command;
	size_t n = 0;
	int status;

	/* What copies the store takes no --port. */
	daemon_ports_in_file |= option != NULL;
	command = daemon_command(0);
	daemon_ports_in_file = ports_in_file;
	while (command[n]) {
		arguments[n] = command[n];
		n++;
	}
	if (option) {
		arguments[n++] = (char *)option;
		arguments[n++] = (char *)value;
	}
	arguments[n] = NULL;
	unlink(log);
	/* Signal 0 sends nothing: it ends by itself. */
	status = process_stop(process_start(log, arguments), 0);
	return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *log_path(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/refused.log", stage.folder);
	return path;
}

static void expect_log(const char *text)
{
	if (count_lines(log_path(), text))
		return;
	show_file(log_path());
	fail_msg("the log does not hold \"%s\"", text);
}

/* It ends with this reason, every file is as it was, and the gate stands. */
static void expect_no_start(const char *reason, const struct key *key)
{
	struct image before[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		before[i] = image_of(names[i]);
	assert_int_equal(run(log_path(), NULL, NULL), 1);
	expect_log(reason);
	expect_log(stage.state);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct image after = image_of(names[i]);

		/* A store that is gone may be begun anew, empty; nothing is lost with that. */
		if (before[i].size > 0) {
			assert_int_equal(after.size, before[i].size);
			assert_memory_equal(after.data, before[i].data, after.size);
		}
		free(before[i].data);
		free(after.data);
	}
	expect_enforced(key);
}

/* --- damage ------------------------------------------------------------------------------------------ */

static void overwrite(const char *name, long from, long to)
{
	FILE *file = fopen(in_state(name), "r+e");

	assert_non_null(file);
	fseek(file, from, SEEK_SET);
	for (long i = from; i < to; i++)
		fputc(0xa5, file);
	assert_int_equal(fclose(file), 0);
}

static void damage_header(void)
{
	overwrite("sluice.db", 0, 100);
}

static void damage_middle(void)
{
	overwrite("sluice.db", 2 * 4096, 5 * 4096);
}

static void cut_off(void)
{
	assert_int_equal(truncate(in_state("sluice.db"), 4096), 0);
}

static void empty_store(void)
{
	assert_int_equal(truncate(in_state("sluice.db"), 0), 0);
}

static void lose_store(void)
{
	assert_int_equal(unlink(in_state("sluice.db")), 0);
}

static void lose_pepper(void)
{
	assert_int_equal(unlink(in_state("pepper")), 0);
}

static void cut_pepper(void)
{
	assert_int_equal(truncate(in_state("pepper"), 31), 0);
}

static void change_pepper(void)
{
	overwrite("pepper", 0, 1);
}

static void open_pepper(void)
{
	assert_int_equal(chmod(in_state("pepper"), 0644), 0);
}

static const struct {
	void (*damage)(void);
	const char *reason;
} damages[] = {
	{ damage_header, "is not a Sluice store, but some other file. If it was one, restore it" },
	{ damage_middle, "is damaged" },
	{ cut_off, "is damaged" },
	{ empty_store, "is empty: the one it belongs to is gone. Restore that from a backup" },
	{ lose_store, "is empty: the one it belongs to is gone. Restore that from a backup" },
	{ lose_pepper, "is missing, and no key in the store can be checked without it. Restore" },
	{ cut_pepper, "has 31 bytes, must have 32. Restore it from a backup" },
	{ change_pepper, "is not the one the store's keys were made with. Restore the one" },
	{ open_pepper, "has mode 0644, must be 0600" },
};

static void starts_from_damage(void **state)
{
	struct key key = key_limited(1000, 10000);
	struct image good[ARRAY_SIZE(names)];

	(void)state;
	daemon_stop();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		good[i] = image_of(names[i]);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		damages[i].damage();
		expect_no_start(damages[i].reason, &key);
		for (size_t j = 0; j < ARRAY_SIZE(names); j++)
			write_image(names[j], &good[j]);
		unlink(in_state("sluice.db-shm"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		free(good[i].data);
	daemon_start();
	expect_enforced(&key);
	expect_available();
}

/* What a killed daemon left in the journal is left there, too. */
static void starts_from_a_journal(void **state)
{
	struct key key = key_limited(1000, 10000);

	(void)state;
	daemon_kill();
	assert_false(access(in_state("sluice.db-wal"), F_OK));
	assert_int_equal(rename(in_state("pepper"), in_state("away")), 0);
	expect_no_start("is missing, and no key in the store can be checked", &key);
	assert_int_equal(rename(in_state("away"), in_state("pepper")), 0);
	daemon_start();
	expect_enforced(&key);
}

static void starts_read_only(void **state)
{
	struct key key = key_limited(1000, 10000);

	(void)state;
	daemon_stop();
	assert_int_equal(mount(stage.state, stage.state, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, stage.state, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	expect_no_start("its file system is read-only; make it writable", &key);
	assert_int_equal(umount(stage.state), 0);
	daemon_start();
	expect_available();
}

static sqlite3 *lock_store(void)
{
	sqlite3 *database;

	assert_int_equal(sqlite3_open(in_state("sluice.db"), &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return database;
}

static void locked(void **state)
{
	struct key key = key_limited(1000, 10000);
	sqlite3 *database = lock_store();

	(void)state;
	expect_unavailable("another program has locked it", &key);
	assert_int_equal(sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	expect_available();
	assert_int_equal(sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	daemon_kill();
	expect_no_start("another program has locked it; end that program", &key);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
	daemon_start();
	expect_available();
}

static void moved(void **state)
{
	struct key key = key_limited(1000, 10000);

	(void)state;
	assert_int_equal(rename(in_state("sluice.db"), in_state("away")), 0);
	expect_unavailable("was moved or removed", &key);
	assert_int_equal(rename(in_state("away"), in_state("sluice.db")), 0);
	expect_available();
}

/* Fill the file system to its last byte. */
static void fill(void)
{
	FILE *file = fopen(in_state("filler"), "we");

	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	while (fputc('x', file) != EOF)
		;
	fclose(file);
}

static void full(void **state)
{
	struct key key, limited;
	char text[1024];
	int status = 201;

	(void)state;
	daemon_stop();
	assert_int_equal(daemon_remove(), 0);
	assert_int_equal(mount("tiny", stage.state, "tmpfs", 0, "mode=0700,size=400k"), 0);
	daemon_start();
	key = key_limited(1000, 10000);
	limited = key_limited(2, 100);
	need_window_ms(20000);
	fill();
	/* The journal has some room that was its own before. */
	for (int i = 0; i < 200 && status == 201; i++) {
		snprintf(text, sizeof(text), "{\"account\":\"full-%d\",\"label\":\"l\"}", i);
		status = api("POST", "/v1/keys", text, text, sizeof(text));
	}
	assert_int_equal(status, 503);
	expect_unavailable("its disk is full; free some space", &key);
	assert_int_equal(ask(&limited), 200);
	assert_int_equal(ask(&limited), 200);
	assert_int_equal(ask(&limited), 429);
	assert_int_equal(unlink(in_state("filler")), 0);
	expect_available();

	daemon_stop();
	fill();
	expect_no_start("its disk is full; free some space", &key);
	assert_int_equal(unlink(in_state("filler")), 0);
	daemon_start();
	expect_available();
	daemon_stop();
	assert_int_equal(daemon_remove(), 0);
	assert_int_equal(umount(stage.state), 0);
}

/* --- backup and restore -------------------------------------------------------------------------------- */

static unsigned int used_today(const struct key *key)
{
	unsigned int minute, day;

	key_used(key, &minute, &day);
	return day;
}

static void use(const struct key *key, int times)
{
	while (times--)
		assert_int_equal(ask(key), 200);
}

static const char *backup_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", stage.folder, name);
	return path;
}

/* Two keys of the backup: one stays in force, the other is revoked; and one that is made later. */
static void restored(void **state)
{
	struct key stays = key_limited(1000, 10), revoked = key_limited(1000, 10), later;

	(void)state;
	need_window_ms(20000);
	use(&stays, 2);
	use(&revoked, 2);
	assert_int_equal(run(log_path(), "--backup", backup_path("backup")), 0);
	later = key_limited(1000, 10);
	use(&stays, 3);
	use(&revoked, 4);
	key_revoke(&revoked);

	assert_int_equal(run(log_path(), "--restore", backup_path("backup")), 1);
	expect_log("another sluiced uses it. Stop that one first.");
	daemon_stop();
	use(&stays, 1);
	assert_int_equal(run(log_path(), "--restore", backup_path("backup")), 0);
	expect_log(revoked.id);
	expect_log("was revoked since the backup, and is valid again");
	/* The gate stands, with what it has, up to the next start. */
	use(&later, 1);
	use(&stays, 1);
	assert_int_equal(ask(&revoked), 401);

	daemon_start();
	assert_int_equal(ask(&later), 401);
	assert_int_equal(used_today(&stays), 7);
	assert_int_equal(used_today(&revoked), 6);
	use(&stays, 3);
	use(&revoked, 4);
	assert_int_equal(ask(&stays), 429);
	assert_int_equal(ask(&revoked), 429);
}

/* The store is lost, and with it what it had counted: what is in force counts on. */
static void restored_from_damage(void **state)
{
	struct key key = key_limited(1000, 10);

	(void)state;
	need_window_ms(20000);
	use(&key, 1);
	assert_int_equal(run(log_path(), "--backup", backup_path("other")), 0);
	use(&key, 6);
	daemon_kill();
	damage_header();
	unlink(in_state("sluice.db-wal"));
	lose_pepper();
	expect_no_start("is not a Sluice store", &key);
	assert_int_equal(run(log_path(), "--restore", backup_path("other")), 0);
	expect_log("counts are as the backup has them");
	daemon_start();
	assert_int_equal(used_today(&key), 8);
	use(&key, 2);
	assert_int_equal(ask(&key), 429);
	expect_available();
}

static void backed_up_without_daemon(void **state)
{
	(void)state;
	daemon_kill();
	assert_int_equal(run(log_path(), "--backup", backup_path("third")), 0);
	assert_int_equal(run(log_path(), "--backup", backup_path("third")), 1);
	expect_log("is not empty: nothing in it is overwritten");
	daemon_start();
}

static const struct promise promises[] = {
	{ "a store or a pepper that is damaged, lost or another's: no start, and the way out",
	  starts_from_damage, ONCE },
	{ "no start leaves what a killed daemon had in its journal", starts_from_a_journal, ONCE },
	{ "a read-only store: no start", starts_read_only, ONCE },
	{ "a store that another program has locked: changes are refused, then no start", locked,
	  ONCE },
	{ "a store that was moved away: changes are refused, not lost", moved, ONCE },
	{ "a full disk: changes are refused until there is room, limits hold", full, ONCE },
	{ "a backup is restored, the kernel with it, and no limit refills", restored, ONCE },
	{ "a damaged store is restored, and what is in force counts on", restored_from_damage,
	  ONCE },
	{ "a backup is made without a daemon, and overwrites none", backed_up_without_daemon,
	  ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
