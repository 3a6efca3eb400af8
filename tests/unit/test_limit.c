// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The two windows: exact, all-or-nothing, and never refilled by the clock. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "limit.h"

#define MINUTE	 60000ULL
#define DAY	 86400000ULL
#define MIDNIGHT (20000 * DAY)		   /* the start of a day */
#define NOON	 (MIDNIGHT + 720 * MINUTE) /* a minute's start in the middle of it */

static struct limit_state state_of;

static enum limit_result take(struct key_usage *usage, __u32 per_minute, __u32 per_day,
			      __u64 now_ms)
{
	return limit_take(usage, per_minute, per_day, now_ms, &state_of);
}

static void take_times(struct key_usage *usage, __u32 times, __u32 per_minute, __u32 per_day,
		       __u64 now_ms)
{
	for (__u32 i = 0; i < times; i++)
		assert_int_equal(take(usage, per_minute, per_day, now_ms), LIMIT_TAKEN);
	assert_int_equal(take(usage, per_minute, per_day, now_ms), LIMIT_USED_UP);
}

static void the_packed_word_has_the_layout_of_the_abi(void **state)
{
	struct limit_windows windows = { .minute = 0x89abcdef,
					 .used_day = 100000,
					 .used_minute = 10000 };
	__u64 word = limit_pack(&windows);

	(void)state;
	assert_int_equal(word, 0x89abcdefULL << 32 | 100000ULL << 14 | 10000);
	windows = limit_unpack(word);
	assert_int_equal(windows.minute, 0x89abcdef);
	assert_int_equal(windows.used_day, 100000);
	assert_int_equal(windows.used_minute, 10000);
	windows = limit_unpack(~0ULL);
	assert_int_equal(limit_pack(&windows), ~0ULL);
}

static void exactly_the_limit_is_admitted_in_a_minute(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	for (__u32 left = 60; left-- > 0;) {
		assert_int_equal(take(&usage, 60, 1000, NOON + 1), LIMIT_TAKEN);
		assert_int_equal(state_of.remaining, left);
		assert_int_equal(state_of.reset_ms, NOON + MINUTE);
	}
	assert_int_equal(take(&usage, 60, 1000, NOON + MINUTE - 1), LIMIT_USED_UP);
	assert_int_equal(state_of.remaining, 0);
	assert_int_equal(state_of.reset_ms, NOON + MINUTE);
	assert_int_equal(take(&usage, 60, 1000, NOON + MINUTE), LIMIT_TAKEN);
	assert_int_equal(state_of.remaining, 59);
}

static void a_refused_request_counts_against_neither_limit(void **state)
{
	struct key_usage usage = { 0 };
	__u64 word;

	(void)state;
	take_times(&usage, 3, 3, 10, NOON);
	word = usage.windows;
	assert_int_equal(take(&usage, 3, 10, NOON), LIMIT_USED_UP);
	assert_int_equal(usage.windows, word);
	take_times(&usage, 3, 3, 10, NOON + MINUTE);
	take_times(&usage, 3, 3, 10, NOON + 2 * MINUTE);
	take_times(&usage, 1, 3, 10, NOON + 3 * MINUTE);
	word = usage.windows;
	assert_int_equal(take(&usage, 3, 10, NOON + 3 * MINUTE), LIMIT_USED_UP);
	assert_int_equal(usage.windows, word);
	assert_int_equal(usage.admitted, 10);
}

static void the_day_ends_at_midnight_utc(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	take_times(&usage, 5, 100, 5, MIDNIGHT + DAY - 1);
	assert_int_equal(state_of.reset_ms, MIDNIGHT + DAY);
	take_times(&usage, 5, 100, 5, MIDNIGHT + DAY);
	assert_int_equal(state_of.reset_ms, MIDNIGHT + 2 * DAY);
}

static void the_window_with_fewer_left_binds(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	assert_int_equal(take(&usage, 10, 12, NOON), LIMIT_TAKEN);
	assert_int_equal(state_of.remaining, 9);
	assert_int_equal(state_of.reset_ms, NOON + MINUTE);
	assert_int_equal(take(&usage, 10, 12, NOON + MINUTE), LIMIT_TAKEN);
	assert_int_equal(state_of.remaining, 9);
	assert_int_equal(take(&usage, 10, 12, NOON + 2 * MINUTE), LIMIT_TAKEN);
	/* Nine left in both: the day resets later. */
	assert_int_equal(state_of.remaining, 9);
	assert_int_equal(state_of.reset_ms, MIDNIGHT + DAY);
	assert_int_equal(take(&usage, 10, 12, NOON + 3 * MINUTE), LIMIT_TAKEN);
	assert_int_equal(state_of.remaining, 8);
	assert_int_equal(state_of.reset_ms, MIDNIGHT + DAY);
}

static void a_used_up_window_is_the_one_that_is_named(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	take_times(&usage, 2, 2, 4, NOON);
	assert_int_equal(state_of.reset_ms, NOON + MINUTE);
	take_times(&usage, 2, 2, 4, NOON + MINUTE);
	/* Both are: the day resets later. */
	assert_int_equal(state_of.reset_ms, MIDNIGHT + DAY);
	assert_int_equal(take(&usage, 2, 4, NOON + 2 * MINUTE), LIMIT_USED_UP);
	assert_int_equal(state_of.reset_ms, MIDNIGHT + DAY);
}

static void a_clock_set_back_refills_nothing(void **state)
{
	static const __u64 back[] = { 1, MINUTE, 10 * MINUTE, DAY, 400 * DAY, NOON };
	struct key_usage usage = { 0 };

	(void)state;
	take_times(&usage, 3, 3, 100, NOON);
	for (size_t i = 0; i < sizeof(back) / sizeof(*back); i++) {
		assert_int_equal(take(&usage, 3, 100, NOON - back[i]), LIMIT_USED_UP);
		assert_int_equal(state_of.reset_ms, NOON + MINUTE);
	}
	/* Nor does going forth to where it was. */
	assert_int_equal(take(&usage, 3, 100, NOON + MINUTE - 1), LIMIT_USED_UP);
	assert_int_equal(take(&usage, 3, 100, NOON + MINUTE), LIMIT_TAKEN);
}

static void a_clock_set_forth_refills_once(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	take_times(&usage, 3, 3, 5, NOON);
	take_times(&usage, 3, 3, 5, NOON + 30 * DAY);
	assert_int_equal(take(&usage, 3, 5, NOON + MINUTE), LIMIT_USED_UP);
	take_times(&usage, 2, 3, 5, NOON + 30 * DAY + MINUTE);
}

static void a_lowered_limit_leaves_nothing_and_a_raised_one_the_rest(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	take_times(&usage, 10, 10, 100, NOON);
	assert_int_equal(take(&usage, 5, 100, NOON), LIMIT_USED_UP);
	assert_int_equal(state_of.remaining, 0);
	assert_int_equal(take(&usage, 20, 7, NOON), LIMIT_USED_UP);
	assert_int_equal(state_of.remaining, 0);
	assert_int_equal(state_of.reset_ms, MIDNIGHT + DAY);
	assert_int_equal(take(&usage, 20, 100, NOON), LIMIT_TAKEN);
	assert_int_equal(state_of.remaining, 9);
}

static void a_limit_of_nothing_admits_nothing(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	assert_int_equal(take(&usage, 0, 10, NOON), LIMIT_USED_UP);
	assert_int_equal(take(&usage, 10, 0, NOON), LIMIT_USED_UP);
	assert_int_equal(usage.admitted, 0);
}

static void the_largest_limits_are_exact(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	for (int minute = 0; minute < 10; minute++)
		take_times(&usage, 10000, 10000, 100000, NOON + minute * MINUTE);
	assert_int_equal(take(&usage, 10000, 100000, NOON + 10 * MINUTE), LIMIT_USED_UP);
	assert_int_equal(state_of.reset_ms, MIDNIGHT + DAY);
}

/* Limits that no key may have must not spill from one count into the other. */
static void a_count_never_leaves_its_bits(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	take_times(&usage, LIMIT_MINUTE_MAX, ~0u, ~0u, NOON);
	assert_int_equal(limit_unpack(usage.windows).used_day, LIMIT_MINUTE_MAX);
	usage.windows = limit_pack(&(struct limit_windows){ NOON / MINUTE, LIMIT_DAY_MAX, 0 });
	assert_int_equal(take(&usage, ~0u, ~0u, NOON), LIMIT_USED_UP);
}

static void a_look_takes_nothing(void **state)
{
	struct key_usage usage = { 0 };
	struct limit_windows seen;

	(void)state;
	take(&usage, 10, 100, NOON);
	take(&usage, 10, 100, NOON);
	seen = limit_at(usage.windows, NOON);
	assert_int_equal(seen.used_minute, 2);
	assert_int_equal(seen.used_day, 2);
	seen = limit_at(usage.windows, NOON + MINUTE);
	assert_int_equal(seen.used_minute, 0);
	assert_int_equal(seen.used_day, 2);
	seen = limit_at(usage.windows, NOON + DAY);
	assert_int_equal(seen.used_day, 0);
}

static void totals_and_last_use_are_kept(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	take_times(&usage, 3, 3, 10, NOON + 17);
	assert_int_equal(usage.admitted, 3);
	assert_int_equal(limit_last_used(usage.windows, usage.last_used), NOON + 17);
	take(&usage, 3, 10, NOON + 18);
	assert_int_equal(limit_last_used(usage.windows, usage.last_used), NOON + 17);
}

static void last_use_is_told_whole_from_its_lower_half(void **state)
{
	struct key_usage usage = { 0 };

	(void)state;
	assert_int_equal(limit_last_used(0, 0), 0);
	assert_int_equal(limit_last_used(0, 4711), 0);
	/* Where the lower half wraps, in one minute and between two. */
	for (__u64 at_ms = (400ULL << 32) - 70000; at_ms < (400ULL << 32) + 70000; at_ms += 499) {
		take(&usage, 10000, 100000, at_ms);
		assert_int_equal(limit_last_used(usage.windows, usage.last_used), at_ms);
	}
	/* The clock is set back by ten days, and by a minute: the windows stay where they are. */
	take(&usage, 10000, 100000, NOON);
	take(&usage, 10000, 100000, NOON - 10 * LIMIT_DAY_MS);
	assert_int_equal(limit_last_used(usage.windows, usage.last_used), NOON - 10 * LIMIT_DAY_MS);
	take(&usage, 10000, 100000, NOON - 61000);
	assert_int_equal(limit_last_used(usage.windows, usage.last_used), NOON - 61000);
}

/* A request may be judged several times before there is room for its answer. */
static void a_refused_request_is_counted_when_it_is_answered(void **state)
{
	struct key_usage usage = { 0 };
	__u64 word;

	(void)state;
	take(&usage, 1, 10, NOON);
	word = usage.windows;
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(&usage, 1, 10, NOON), LIMIT_USED_UP);
	assert_int_equal(usage.refused, 0);
	limit_count_refused(&usage);
	assert_int_equal(usage.refused, 1);
	assert_int_equal(usage.admitted, 1);
	assert_int_equal(usage.windows, word);
}

#define THREADS	    8
#define TRIES	    4000
#define RACE_MINUTE 1000
#define RACE_DAY    2500

struct racer {
	struct key_usage *usage;
	pthread_barrier_t *start;
	__u32 taken[4]; /* by minute */
};

/* Everyone crosses the minutes at a place of their own, so that windows turn in the middle. */
static void *race(void *data)
{
	struct racer *racer = data;
	struct limit_state seen;

	pthread_barrier_wait(racer->start);
	for (int i = 0; i < TRIES; i++) {
		int minute = i / (TRIES / 4);

		if (limit_take(racer->usage, RACE_MINUTE, RACE_DAY, NOON + minute * MINUTE,
			       &seen) == LIMIT_TAKEN)
			racer->taken[minute]++;
		else
			limit_count_refused(racer->usage);
	}
	return NULL;
}

static __u32 run_race(struct key_usage *usage)
{
	struct racer racers[THREADS] = { 0 };
	pthread_t threads[THREADS];
	pthread_barrier_t start;
	__u32 total = 0;

	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		racers[i].usage = usage;
		racers[i].start = &start;
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		for (int minute = 0; minute < 4; minute++)
			total += racers[i].taken[minute];
	}
	pthread_barrier_destroy(&start);
	return total;
}

static void many_threads_are_admitted_exactly_the_limit(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct key_usage usage = { 0 };

		/* Three minutes of 1,000 want to go by, the day stops them at 2,500. */
		assert_int_equal(run_race(&usage), RACE_DAY);
		assert_int_equal(usage.admitted, RACE_DAY);
		assert_int_equal(usage.admitted + usage.refused, THREADS * TRIES);
		assert_int_equal(limit_unpack(usage.windows).used_day, RACE_DAY);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_packed_word_has_the_layout_of_the_abi),
		cmocka_unit_test(exactly_the_limit_is_admitted_in_a_minute),
		cmocka_unit_test(a_refused_request_counts_against_neither_limit),
		cmocka_unit_test(the_day_ends_at_midnight_utc),
		cmocka_unit_test(the_window_with_fewer_left_binds),
		cmocka_unit_test(a_used_up_window_is_the_one_that_is_named),
		cmocka_unit_test(a_clock_set_back_refills_nothing),
		cmocka_unit_test(a_clock_set_forth_refills_once),
		cmocka_unit_test(a_lowered_limit_leaves_nothing_and_a_raised_one_the_rest),
		cmocka_unit_test(a_limit_of_nothing_admits_nothing),
		cmocka_unit_test(the_largest_limits_are_exact),
		cmocka_unit_test(a_count_never_leaves_its_bits),
		cmocka_unit_test(a_look_takes_nothing),
		cmocka_unit_test(totals_and_last_use_are_kept),
		cmocka_unit_test(last_use_is_told_whole_from_its_lower_half),
		cmocka_unit_test(a_refused_request_is_counted_when_it_is_answered),
		cmocka_unit_test(many_threads_are_admitted_exactly_the_limit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
