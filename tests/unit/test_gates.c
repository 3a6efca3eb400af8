/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings and gates on their way into the kernel side. */
#include "check.h"
#include "clock.h"
#include "fake_gates.h"
#include "gates.h"

#include <sodium.h>

static const uint8_t pepper[PEPPER_SIZE] = { 1, 2, 3 }, other_pepper[PEPPER_SIZE] = { 9 };
static const struct config config = {
	.pin = "/fake/pin",
	.state = "/fake/state",
	.key_word = "acme",
	.ports = { { 80, 4096, true, false }, { 443, 16384, false, true } },
	.port_count = 2,
};
static char why[512];

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	return 0;
}

static int put_settings(const uint8_t *with)
{
	return gates_put_settings(NULL, with, why, sizeof(why));
}

static void test_new_settings(void **state)
{
	uint64_t offset_ns;

	(void)state;
	assert_int_equal(clock_tai_offset(&offset_ns), 0);
	assert_int_equal(put_settings(pepper), 0);
	assert_int_equal(fake.settings.abi, SLUICE_ABI);
	assert_memory_equal(fake.settings.pepper, pepper, PEPPER_SIZE);
	gates_put_key_word(NULL, config.key_word);
	assert_memory_equal(fake.settings.key_word, "acme\0\0\0\0", KEY_WORD_MAX);
	assert_int_equal(fake.settings.tai_offset_ns, offset_ns);
}

static void test_other_installation(void **state)
{
	struct settings before;

	(void)state;
	assert_false(gates_have_pepper(NULL, pepper));
	assert_int_equal(gates_check_pepper(NULL, &config, pepper, why, sizeof(why)), 0);
	assert_int_equal(put_settings(pepper), 0);
	assert_true(gates_have_pepper(NULL, pepper));
	assert_false(gates_have_pepper(NULL, other_pepper));
	before = fake.settings;
	assert_int_equal(gates_check_pepper(NULL, &config, pepper, why, sizeof(why)), 0);
	assert_int_equal(gates_check_pepper(NULL, &config, other_pepper, why, sizeof(why)),
			 -EKEYREJECTED);
	assert_non_null(strstr(why, "/fake/pin belongs to another installation"));
	assert_memory_equal(&fake.settings, &before, sizeof(before));
}

static void test_clock(void **state)
{
	uint64_t offset_ns;

	(void)state;
	assert_int_equal(clock_tai_offset(&offset_ns), 0);
	assert_int_equal(put_settings(pepper), 0);
	fake.settings.tai_offset_ns += 1000000000;
	assert_int_equal(gates_follow_clock(NULL), 0);
	assert_int_equal(fake.settings.tai_offset_ns, offset_ns);
	assert_memory_equal(fake.settings.pepper, pepper, PEPPER_SIZE);
}

static void test_gates(void **state)
{
	const struct gate before = { .head_limit = 1024 };

	(void)state;
	fake_add_gate(80, true, &before);
	fake_add_gate(8080, true, &before);
	fake_add_gate(8080, false, &before);
	assert_int_equal(gates_put(NULL, &config, false, why, sizeof(why)), 0);
	assert_int_equal(fake_find_gate(80)->gate.head_limit, 4096);
	assert_int_equal(fake_find_gate(80)->gate.keep_identity, 1);
	assert_int_equal(fake_find_gate(80)->gate.pass_trailers, 0);
	assert_int_equal(fake_find_gate(443)->gate.head_limit, 16384);
	assert_int_equal(fake_find_gate(443)->gate.keep_identity, 0);
	assert_int_equal(fake_find_gate(443)->gate.pass_trailers, 1);
	assert_null(fake_find_gate(8080));
	assert_true(fake.gates[2].used);
}

static void test_key_word(void **state)
{
	(void)state;
	assert_int_equal(put_settings(pepper), 0);
	gates_put_key_word(NULL, "gx");
	assert_memory_equal(fake.settings.key_word, "gx\0\0\0\0\0\0", KEY_WORD_MAX);
	gates_put_key_word(NULL, "abcdefgh");
	assert_memory_equal(fake.settings.key_word, "abcdefgh", KEY_WORD_MAX);
	assert_memory_equal(fake.settings.pepper, pepper, PEPPER_SIZE);
}

/* A gate that is draining goes on only where it is not named, and somebody says that it shall. */
static void test_draining(void **state)
{
	const struct gate before = { .head_limit = 1024, .draining = 1 };

	(void)state;
	fake_add_gate(80, true, &before);
	fake_add_gate(8080, true, &before);
	assert_int_equal(gates_put(NULL, &config, true, why, sizeof(why)), 0);
	assert_int_equal(fake_find_gate(80)->gate.draining, 0);
	assert_int_equal(fake_find_gate(8080)->gate.draining, 1);
	assert_int_equal(gates_put(NULL, &config, false, why, sizeof(why)), 0);
	assert_null(fake_find_gate(8080));
}

/* Three changes: 80 is changed, 443 added, 8080 removed. Whichever fails, all is as it was. */
static void test_all_or_nothing(void **state)
{
	const struct gate before = { .head_limit = 1024 };

	for (int failing = 1; failing <= 3; failing++) {
		set_up(state);
		fake_add_gate(80, true, &before);
		fake_add_gate(8080, true, &before);
		fake.changes_left = failing;
		assert_int_equal(gates_put(NULL, &config, true, why, sizeof(why)), -ENOMEM);
		assert_memory_equal(&fake_find_gate(80)->gate, &before, sizeof(before));
		assert_memory_equal(&fake_find_gate(8080)->gate, &before, sizeof(before));
		assert_null(fake_find_gate(443));
	}
	assert_int_equal(gates_put(NULL, &config, true, why, sizeof(why)), 0);
	assert_non_null(fake_find_gate(443));
}

/* The answer must not say that all is as it was. */
static void test_not_undone(void **state)
{
	const struct gate before = { .head_limit = 1024 };

	(void)state;
	fake_add_gate(80, true, &before);
	fake.changes_left = 2;
	fake.lasting = true;
	assert_int_equal(gates_put(NULL, &config, true, why, sizeof(why)), -ENOTRECOVERABLE);
	assert_string_equal(why,
			    "The gates cannot be written to the kernel: Cannot allocate "
			    "memory. Nor can all be put back: Cannot allocate memory. Some may "
			    "be as configured now, others as before. Restart sluiced.");
}

static void test_failure(void **state)
{
	(void)state;
	fake.failure = -EPERM;
	assert_int_equal(gates_put(NULL, &config, false, why, sizeof(why)), -EPERM);
	assert_string_equal(why, "The gates cannot be written to the kernel: Operation not "
				 "permitted.");
	assert_false(gates_have_pepper(NULL, pepper));
}

#define PREPARED(name, function)                                                                   \
	{                                                                                          \
		name, function, set_up, NULL, NULL                                                 \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PREPARED("settings hold pepper, key word and clock", test_new_settings),
		PREPARED("a gate of another installation is refused and left as it was",
			 test_other_installation),
		PREPARED("a changed TAI offset is published, and only that", test_clock),
		PREPARED("gates become the configured ones, other namespaces' stay", test_gates),
		PREPARED("a key word of any length takes the place of another", test_key_word),
		PREPARED("a gate that is draining goes on unless it is configured", test_draining),
		PREPARED("a change that fails undoes those before it", test_all_or_nothing),
		PREPARED("where undoing fails, too, that is told", test_not_undone),
		PREPARED("a kernel side that fails is told", test_failure),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("gates", tests, NULL, NULL);
}
