/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pin folder: ours alone, on a bpffs, or not used and left as it was. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "pin_folder.h"
#include "temp_folder.h"

static char why[512];

/* The mount namespace is the test's own, and so is the bpffs in it. */
static int set_up(void **state)
{
	(void)state;
	if (temp_folder_make() || mkdir(temp_path("bpf"), 0700))
		return -1;
	return mount("bpf", temp_path("bpf"), "bpf", 0, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	return umount(temp_path("bpf")) || temp_folder_remove();
}

static void expect_refusal(const char *name, int error, const char *message)
{
	int fd = -1;

	assert_int_equal(pin_folder_open(temp_path(name), &fd, why, sizeof(why)), error);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(why, message));
	assert_non_null(strstr(why, temp_path(name)));
}

static void test_locked(void **state)
{
	struct stat status;
	int fd, again;

	(void)state;
	assert_int_equal(pin_folder_lock(temp_path("bpf/pin"), &fd), -ENOENT);
	assert_int_equal(pin_folder_open(temp_path("bpf/pin"), &fd, why, sizeof(why)), 0);
	assert_int_equal(stat(temp_path("bpf/pin"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	expect_refusal("bpf/pin", -EBUSY, "Another sluiced holds");
	assert_int_equal(pin_folder_lock(temp_path("bpf/pin"), &again), -EBUSY);
	close(fd);
	assert_int_equal(pin_folder_lock(temp_path("bpf/pin"), &fd), 0);
	close(fd);
}

static void test_other_filesystem(void **state)
{
	(void)state;
	expect_refusal("made", -ENOTSUP, "is not on a bpffs");
	assert_int_equal(access(temp_path("made"), F_OK), -1);
	assert_int_equal(mkdir(temp_path("there"), 0700), 0);
	expect_refusal("there", -ENOTSUP, "is not on a bpffs");
	assert_int_equal(access(temp_path("there"), F_OK), 0);
}

static void test_others(void **state)
{
	static const mode_t modes[] = { 0720, 0702, 0777, 01777 };

	(void)state;
	assert_int_equal(mkdir(temp_path("bpf/pin"), 0700), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		assert_int_equal(chmod(temp_path("bpf/pin"), modes[i]), 0);
		expect_refusal("bpf/pin", -EPERM, "can be written by other users");
	}
	assert_int_equal(chmod(temp_path("bpf/pin"), 0700), 0);
	assert_int_equal(chown(temp_path("bpf/pin"), 65534, 65534), 0);
	expect_refusal("bpf/pin", -EPERM, "belongs to uid 65534");
}

static void test_link(void **state)
{
	(void)state;
	assert_int_equal(mkdir(temp_path("bpf/elsewhere"), 0700), 0);
	assert_int_equal(symlink(temp_path("bpf/elsewhere"), temp_path("bpf/pin")), 0);
	expect_refusal("bpf/pin", -ENOTDIR, "Cannot open the pin folder");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("one daemon holds a pin folder", test_locked),
		ROW("a folder that is not on a bpffs is refused, and one that was there stays",
		    test_other_filesystem),
		ROW("a folder that others own or may write to is refused", test_others),
		ROW("a link in the folder's place is refused", test_link),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("a mount namespace");
		return 1;
	}
	return cmocka_run_group_tests_name("pin_folder", tests, NULL, NULL);
}
