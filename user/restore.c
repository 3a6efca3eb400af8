// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Restoring a backup: make a copy, try it, decide, move it to its place. */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backup.h"
#include "log.h"
#include "restore_compare.h"
#include "state_folder.h"
#include "store.h"
#include "util.h"

#define PARTIAL "restore.partial"
#define DECIDED "restore"
#define FORMER	"former" /* in it: what was there before */

static int explain(int err, const char *state, char *why, size_t why_size)
{
	snprintf(why, why_size, "The backup cannot be restored to %s: %s.", state,
		 store_reason(err));
	return err;
}

/* --- behind the decision: each step may be done again ---------------------------------------------- */

/* A file that is not there needs no moving. */
static int move(int from, const char *name, int to, const char *new_name)
{
	return renameat(from, name, to, new_name) && errno != ENOENT ? -errno : 0;
}

/* Put one file in its place, behind those that were there under this name and what belongs to them. */
static int place(int state, int restored, const char *name)
{
	static const char *const ends[] = { "-wal", "-shm", "-journal", "" };
	_cleanup_close_ int former = -1;
	char old[64];
	int err = 0;

	if (faccessat(restored, name, F_OK, 0))
		return errno == ENOENT ? 0 : -errno; /* it is there already */
	former = openat(restored, FORMER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (former < 0)
		return -errno;
	for (size_t i = 0; !err && i < ARRAY_SIZE(ends); i++) {
		snprintf(old, sizeof(old), "%s%s", name, ends[i]);
		err = move(state, old, former, old);
	}
	/* No journal of the former store may be found beside the new one. */
	if (!err && (fsync(former) || fsync(state)))
		err = -errno;
	if (!err)
		err = move(restored, name, state, name);
	return err || !fsync(state) ? err : -errno;
}

/* Keep what was there under a name that tells when; where there was nothing, keep nothing. */
static int keep_former(int state, int restored, const char *state_name)
{
	char name[64] = "before-restore-";

	if (!unlinkat(restored, FORMER, AT_REMOVEDIR) || errno == ENOENT)
		return 0;
	rfc3339_format(now_ms(), name + strlen(name));
	if (renameat(restored, FORMER, state, name))
		return -errno;
	log_info("What was in %s before is kept in %s/%s.", state_name, state_name, name);
	return 0;
}

int restore_finish(const char *state, int state_fd, char *why, size_t why_size)
{
	_cleanup_close_ int restored =
		openat(state_fd, DECIDED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err;

	if (restored < 0)
		return errno == ENOENT ? 0 : explain(-errno, state, why, why_size);
	err = fsync(state_fd) ? -errno : place(state_fd, restored, STATE_STORE);
	if (!err)
		err = place(state_fd, restored, STATE_PEPPER);
	if (!err)
		err = keep_former(state_fd, restored, state);
	if (!err && (unlinkat(state_fd, DECIDED, AT_REMOVEDIR) || fsync(state_fd)))
		err = -errno;
	if (err)
		snprintf(
			why, why_size,
			"The restore in %s cannot be finished: %s. Nothing is lost: the next start "
			"of sluiced goes on with it.",
			state, store_reason(err));
	return err;
}

/* --- before it --------------------------------------------------------------------------------- */

/* What is copied from where to where. */
struct places {
	char store[PATH_MAX], pepper[PATH_MAX]; /* of the backup */
	char partial[PATH_MAX];			/* the folder of the copy */
	char partial_store[PATH_MAX], partial_pepper[PATH_MAX];
	char former_store[PATH_MAX];
};

static int join(char ret_path[PATH_MAX], const char *folder, const char *name)
{
	return path_join(ret_path, PATH_MAX, folder, name);
}

static int find_places(const char *state, const char *folder, struct places *ret_places)
{
	struct places *places = ret_places;

	return join(places->store, folder, STATE_STORE) ||
			       join(places->pepper, folder, STATE_PEPPER) ||
			       join(places->partial, state, PARTIAL) ||
			       join(places->partial_store, places->partial, STATE_STORE) ||
			       join(places->partial_pepper, places->partial, STATE_PEPPER) ||
			       join(places->former_store, state, STATE_STORE)
		       ? -ENAMETOOLONG
		       : 0;
}

/* Remove a copy that was not decided on. */
static int remove_partial(int state)
{
	static const char *const names[] = { STATE_STORE, STATE_STORE "-wal", STATE_STORE "-shm",
					     STATE_STORE "-journal", STATE_PEPPER };
	_cleanup_close_ int partial =
		openat(state, PARTIAL, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (partial < 0)
		return errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(partial, names[i], 0);
	unlinkat(partial, FORMER, AT_REMOVEDIR);
	return unlinkat(state, PARTIAL, AT_REMOVEDIR) ? -errno : 0;
}

/* The daemon's own way to open a store is what says that the copy can be used. */
static int try_copy(const struct places *places, char *why, size_t why_size)
{
	uint8_t pepper[PEPPER_SIZE];
	struct store *store = NULL;
	int err = store_open(places->partial_store, &store, why, why_size);

	if (!err)
		err = store_open_pepper(store, places->partial_pepper, pepper, why, why_size);
	sodium_memzero(pepper, sizeof(pepper));
	if (!err) {
		err = restore_compare(store, places->former_store);
		if (err)
			explain(err, places->partial_store, why, why_size);
	}
	store_close(store);
	return err;
}

static int copy(const struct places *places, char *why, size_t why_size)
{
	int err = backup_verify(places->store, places->pepper, why, why_size);

	if (!err)
		err = backup_copy(places->store, places->partial_store, why, why_size);
	if (!err)
		err = backup_copy_pepper(places->pepper, places->partial_pepper, why, why_size);
	return err ? err : try_copy(places, why, why_size);
}

/* One rename, behind which the copy is the store. */
static int decide(const struct places *places, int state)
{
	_cleanup_close_ int partial = open(places->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (partial < 0)
		return -errno;
	/* A journal is left where the store could not be written to the end. */
	if (!faccessat(partial, STATE_STORE "-wal", F_OK, 0))
		return -EIO;
	if (mkdirat(partial, FORMER, 0700) || fsync(partial))
		return -errno;
	return renameat(state, PARTIAL, state, DECIDED) ? -errno : 0;
}

static int run(const char *state, int state_fd, const char *folder, char *why, size_t why_size)
{
	struct places places;
	int err = find_places(state, folder, &places);

	if (!err)
		err = remove_partial(state_fd);
	if (!err && mkdirat(state_fd, PARTIAL, 0700))
		err = -errno;
	if (err)
		return explain(err, state, why, why_size);
	err = copy(&places, why, why_size);
	if (err) {
		remove_partial(state_fd);
		return err;
	}
	err = decide(&places, state_fd);
	if (err) {
		remove_partial(state_fd);
		return explain(err, state, why, why_size);
	}
	return restore_finish(state, state_fd, why, why_size);
}

int restore_run(const char *state, const char *folder, char *why, size_t why_size)
{
	_cleanup_close_ int state_fd = -1;
	int err = state_folder_open(state, why, why_size);

	if (!err)
		err = state_folder_lock(state, &state_fd, why, why_size);
	if (!err)
		err = restore_finish(state, state_fd, why, why_size);
	return err ? err : run(state, state_fd, folder, why, why_size);
}
