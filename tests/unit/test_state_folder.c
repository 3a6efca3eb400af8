/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The state folder: ours alone, or not used. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "state_folder.h"
#include "temp_folder.h"

static char why[512];

static int set_up(void **state)
{
	(void)state;
	return temp_folder_make();
}

static int tear_down(void **state)
{
	(void)state;
	return temp_folder_remove();
}

static void expect(const char *name, int error, const char *message)
{
	assert_int_equal(state_folder_open(temp_path(name), why, sizeof(why)), error);
	if (message)
		assert_non_null(strstr(why, message));
}

static void test_made(void **state)
{
	struct stat status;

	(void)state;
	expect("state", 0, NULL);
	assert_int_equal(stat(temp_path("state"), &status), 0);
	assert_int_equal(status.st_mode, S_IFDIR | 0700);
	expect("state", 0, NULL);
}

static void test_open_to_others(void **state)
{
	static const mode_t modes[] = { 0710, 0740, 0701, 0755, 0777 };

	(void)state;
	expect("state", 0, NULL);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(temp_path("state"), modes[i]), 0);
		expect("state", -EPERM, "is open to other users; run: chmod 700 /");
	}
}

static void test_of_another_user(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	expect("state", 0, NULL);
	assert_int_equal(chown(temp_path("state"), 64321, 64321), 0);
	expect("state", -EPERM,
	       " belongs to uid 64321, and this daemon runs as root (uid 0). Start it as that "
	       "user, "
	       "as the service is (systemctl start sluiced); or name another folder with --state.");
}

/* A folder that root made, and a daemon that is not root. */
static void test_of_root(void **state)
{
	char expected[512];
	int r;

	(void)state;
	if (geteuid())
		skip();
	expect("state", 0, NULL);
	assert_int_equal(chmod(temp_path(""), 0711), 0);
	assert_int_equal(seteuid(64321), 0);
	r = state_folder_open(temp_path("state"), why, sizeof(why));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -EPERM);
	snprintf(expected, sizeof(expected),
		 "belongs to root (uid 0), and this daemon runs as uid 64321. As root, run: chown "
		 "-R 64321 %s; or name another folder with --state.",
		 temp_path("state"));
	assert_non_null(strstr(why, expected));
}

static void test_no_folder(void **state)
{
	FILE *file = fopen(temp_path("file"), "w");

	(void)state;
	assert_non_null(file);
	fclose(file);
	expect("file", -ENOTDIR, "is no folder.");
	expect("none/state", -ENOENT, "cannot be made: No such file or directory.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("a folder that is absent is made, for its owner alone", test_made),
		ROW("a folder that others may look into is refused", test_open_to_others),
		ROW("a folder of another user is refused", test_of_another_user),
		ROW("one of root's is, too, and the way out is told", test_of_root),
		ROW("what is no folder, and cannot be made one, is told", test_no_folder),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("state folder", tests, NULL, NULL);
}
