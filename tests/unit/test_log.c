/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The daemon's log: one line a call, whatever text it is given. */
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "captured_log.h"
#include "check.h"

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

/* The first test: whether stderr is the journal's is looked at once, here by a child. */
static void the_journal_is_told_levels(void **state)
{
	struct stat status;
	char stream[64];
	pid_t child;
	int code;

	(void)state;
	log_capture();
	child = fork();
	if (!child) {
		fstat(STDERR_FILENO, &status);
		snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
			 (unsigned long long)status.st_ino);
		setenv("JOURNAL_STREAM", stream, 1);
		log_error("e");
		log_warning("w");
		log_notice("n");
		log_info("i");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &code, 0), child);
	assert_int_equal(code, 0);
	assert_string_equal(log_captured(), "<3>e\n<4>w\n<5>n\n<6>i\n");
}

static void errors_and_warnings_are_named(void **state)
{
	(void)state;
	log_capture();
	log_error("e %d", 1);
	log_warning("w");
	log_notice("n");
	log_info("i");
	assert_string_equal(log_captured(), "error: e 1\nwarning: w\nn\ni\n");
}

static void no_text_can_make_a_line_or_move_the_cursor(void **state)
{
	char text[] = "a?b";

	(void)state;
	for (int byte = 1; byte < 0x80; byte++) {
		char wanted[8] = "a?b\n";

		text[1] = byte;
		if (byte >= 0x20 && byte != 0x7f)
			wanted[1] = byte;
		log_capture();
		log_info("%s", text);
		assert_string_equal(log_captured(), wanted);
	}
	log_capture();
	log_notice("label %s", "x\nuid 0, pid 1 revoked key_aaaaaaaaaaaa\r\033[2K\tBüro");
	assert_string_equal(log_captured(),
			    "label x?uid 0, pid 1 revoked key_aaaaaaaaaaaa??[2K?Büro\n");
}

static void a_long_text_is_cut_and_its_line_ended(void **state)
{
	char text[2000];
	const char *logged;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_capture();
	log_info("%s", text);
	logged = log_captured();
	assert_int_equal(strlen(logged), 1024);
	assert_int_equal(logged[1023], '\n');
}

static void errno_is_left_as_it_was(void **state)
{
	(void)state;
	log_capture();
	errno = EXFULL;
	log_info("%s", "x");
	assert_int_equal(errno, EXFULL);
	log_captured();
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_folder(the_journal_is_told_levels),
		with_folder(errors_and_warnings_are_named),
		with_folder(no_text_can_make_a_line_or_move_the_cursor),
		with_folder(a_long_text_is_cut_and_its_line_ended),
		with_folder(errno_is_left_as_it_was),
	};

	unsetenv("JOURNAL_STREAM");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
