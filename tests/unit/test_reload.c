// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a reload that fails in the kernel side says of what it has left in force. */
#include "reload.h"

#include "check.h"
#include "fake_gates.h"
#include "temp_folder.h"

#define PORT	   80
#define OTHER_PORT 443

static struct config config;
static struct claims claims;
static struct failure failure;
static struct shed shed = { .config = &config.shed };

/* A gate stands on one port, as it was configured before. The claims are nobody's to see. */
static int set_up(void **state)
{
	static const uint16_t ports[] = { PORT, OTHER_PORT };
	const struct gate gate = { .head_limit = 1024 };

	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake_add_gate(PORT, true, &gate);
	for (size_t i = 0; i < 2; i++) {
		claims.held[i].port = ports[i];
		claims.held[i].fd = -1;
	}
	claims.count = 2;
	return temp_folder_make();
}

static int tear_down(void **state)
{
	(void)state;
	return temp_folder_remove();
}

static void write_file(const char *text)
{
	FILE *file = fopen(temp_path("sluice.conf"), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* Reload from one port to two, of which the kernel side takes one alone. */
static int reload(void)
{
	static char program[] = "sluiced";
	char *argv[] = { program, NULL }, *changes;
	struct reload reload = {
		.argc = 1,
		.argv = argv,
		.default_file = temp_path("sluice.conf"),
		.config = &config,
		.claims = &claims,
		.shed = &shed,
	};
	char why[512];

	write_file("[port 80]\nhead_limit = 1024\n");
	assert_int_equal(config_read(1, argv, temp_path("sluice.conf"), &config, why, sizeof(why)),
			 0);
	write_file("[port 80]\nhead_limit = 2048\n[port 443]\n");
	fake.changes_left = 2;
	return reload_run(&reload, &changes, &failure);
}

static void undone(void **state)
{
	(void)state;
	assert_int_equal(reload(), -EIO);
	assert_int_equal(fake_find_gate(PORT)->gate.head_limit, 1024);
	assert_string_equal(failure.code, "UNAVAILABLE");
	assert_string_equal(failure.message,
			    "The gates cannot be written to the kernel: Cannot allocate memory. "
			    "Nothing was changed.");
}

static void not_undone(void **state)
{
	(void)state;
	fake.lasting = true;
	assert_int_equal(reload(), -EIO);
	assert_int_equal(fake_find_gate(PORT)->gate.head_limit, 2048);
	assert_string_equal(failure.code, "UNAVAILABLE");
	assert_non_null(strstr(failure.message, "Nor can all be put back"));
	assert_null(strstr(failure.message, "Nothing was changed"));
}

#define ROW(name, function)                                                                        \
	{                                                                                          \
		name, function, set_up, tear_down, NULL                                            \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("a reload that fails is undone, and says that nothing was changed", undone),
		ROW("one that cannot be undone does not say so", not_undone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
