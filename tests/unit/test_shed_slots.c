// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sources in their slots: all are found by the way that the program takes, whatever comes and goes. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernel_handle.h"
#include "shed_slot.h"
#include "util.h"

#define BITS	6
#define SLOTS	((1 << BITS) + SHED_PROBES)
#define SOURCES 32 /* in at most */
#define ALL	48 /* that there are */
#define CHANGES 200000
#define LOOK_AT 17 /* changes */

static struct kernel kernel;
static struct shed_source slots[SLOTS];
static struct shed_source model[ALL]; /* as they should be; until 0: not in */

static struct source source_of(unsigned int number)
{
	return (struct source){ { 0, 0, 0xffff0000, number * 2654435761u } };
}

static int set_up(void **state)
{
	(void)state;
	memset(slots, 0, sizeof(slots));
	memset(model, 0, sizeof(model));
	kernel = (struct kernel){ .shed = slots,
				  .shed_bits = BITS,
				  .shed_layout.max_sources = SOURCES };
	randombytes_buf(kernel.shed_layout.seeds, sizeof(kernel.shed_layout.seeds));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return 0;
}

/* What the program finds, bpf/shed.bpf.c. */
static const struct shed_source *look_up(const struct source *source)
{
	__u32 slot = shed_slot(source, kernel.shed_layout.seeds, BITS);

	for (int i = 0; i < SHED_PROBES && slots[slot + i].until; i++)
		if (!memcmp(&slots[slot + i].source, source, sizeof(*source)))
			return &slots[slot + i];
	return NULL;
}

static void expect_model(void)
{
	uint32_t taken = 0, wanted = 0;

	for (unsigned int i = 0; i < ALL; i++) {
		struct source source = source_of(i);
		const struct shed_source *there = look_up(&source);

		assert_int_equal(there != NULL, model[i].until != 0);
		if (there)
			assert_memory_equal(there, &model[i], sizeof(*there));
		wanted += model[i].until != 0;
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		taken += slots[i].until != 0;
	assert_int_equal(taken, wanted);
	assert_int_equal(kernel.shed_count, wanted);
}

static void put(unsigned int number, uint64_t until)
{
	struct shed_source row = { .source = source_of(number), .until = until, .times = number };
	bool full = !model[number].until && kernel.shed_count == SOURCES;

	assert_int_equal(kernel_put_shed(&kernel, &row), full ? -E2BIG : 0);
	if (!full)
		model[number] = row;
}

static void take_out(unsigned int number)
{
	struct source source = source_of(number);

	assert_int_equal(kernel_remove_shed(&kernel, &source), model[number].until ? 0 : -ENOENT);
	model[number].until = 0;
}

static void test_come_and_go(void **state)
{
	(void)state;
	for (unsigned int i = 1; i <= CHANGES; i++) {
		unsigned int number = randombytes_uniform(ALL);

		if (randombytes_uniform(2))
			put(number, i);
		else
			take_out(number);
		if (!(i % LOOK_AT))
			expect_model();
	}
	expect_model();
}

/* As seeds can be where somebody knows them: all sources meet. */
static void test_meeting(void **state)
{
	(void)state;
	memset(kernel.shed_layout.seeds, 0, sizeof(kernel.shed_layout.seeds));
	test_come_and_go(state);
}

/*
 * A daemon was killed while it took out one after the other: the slot is free, and those behind it are not
 * found; or the next one is there twice.
 */
static void test_mended(void **state)
{
	(void)state;
	memset(kernel.shed_layout.seeds, 0, sizeof(kernel.shed_layout.seeds));
	for (unsigned int i = 0; i < SOURCES; i++)
		put(i, i + 1);
	for (unsigned int i = 0; i + 1 < SOURCES; i++) {
		model[slots[0].times].until = 0;
		slots[0].until = 0;
		if (i % 2)
			slots[0] = slots[1];
		assert_int_equal(kernel_mend_shed(&kernel), 0);
		expect_model();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("sources are found, and others are not, whatever comes and goes",
		    test_come_and_go),
		ROW("also where all of them meet", test_meeting),
		ROW("what a killed daemon has left half done is put right", test_mended),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("shed_slots", tests, NULL, NULL);
}
