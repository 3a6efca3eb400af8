/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The two limits of a key: requests per minute and per day, in windows aligned to UTC.
 *
 * Both counts and the minute they belong to share one 64-bit word (struct key_usage in abi.h), so
 * that one compare-and-swap counts a request against both limits or against neither. The minute
 * only ever grows: a clock that is set back refills nothing.
 */
#ifndef SLUICE_LIMIT_H
#define SLUICE_LIMIT_H

#include "abi.h"
#include "core.h"

#define LIMIT_MINUTE_BITS 14
#define LIMIT_DAY_BITS	  18
#define LIMIT_MINUTE_MAX  ((1u << LIMIT_MINUTE_BITS) - 1) /* the largest count a window can hold */
#define LIMIT_DAY_MAX	  ((1u << LIMIT_DAY_BITS) - 1)
#define LIMIT_MINUTES_DAY 1440
#define LIMIT_MINUTE_MS	  60000ULL
#define LIMIT_DAY_MS	  (LIMIT_MINUTES_DAY * LIMIT_MINUTE_MS)
#define LIMIT_ATTEMPTS	  65536 /* each that fails means that another processor was served */

enum limit_result {
	LIMIT_TAKEN,
	LIMIT_USED_UP,
	LIMIT_BUSY, /* other processors came first every time: can't be judged */
};

/* The word `windows`, unpacked. */
struct limit_windows {
	__u32 minute;	   /* since the epoch */
	__u32 used_day;	   /* requests in the day that minute lies in */
	__u32 used_minute; /* requests in that minute */
};

/* What a client is told of the window that binds. */
struct limit_state {
	__u64 reset_ms;	 /* when the window that binds ends, since the epoch */
	__u32 remaining; /* requests left in it */
	__u32 reserved;
};

core_inline __u64 limit_pack(const struct limit_windows *windows)
{
	return (__u64)windows->minute << 32 | windows->used_day << LIMIT_MINUTE_BITS |
	       windows->used_minute;
}

core_inline struct limit_windows limit_unpack(__u64 word)
{
	return (struct limit_windows){
		.minute = word >> 32,
		.used_day = word >> LIMIT_MINUTE_BITS & LIMIT_DAY_MAX,
		.used_minute = word & LIMIT_MINUTE_MAX,
	};
}

/* The windows as they are at now_ms: emptied where a new minute or day has begun. */
core_inline struct limit_windows limit_at(__u64 word, __u64 now_ms)
{
	struct limit_windows windows = limit_unpack(word);
	__u32 minute = now_ms / LIMIT_MINUTE_MS;

	if (minute <= windows.minute)
		return windows;
	if (minute / LIMIT_MINUTES_DAY != windows.minute / LIMIT_MINUTES_DAY)
		windows.used_day = 0;
	windows.used_minute = 0;
	windows.minute = minute;
	return windows;
}

core_inline __u32 limit_left(__u32 limit, __u32 used)
{
	return used < limit ? limit - used : 0;
}

/* The window with fewer left binds; where equal, the day, which never ends before its minute. */
core_inline void limit_describe(const struct limit_windows *windows, __u32 per_minute,
				__u32 per_day, struct limit_state *ret_state)
{
	__u32 minute_left = limit_left(per_minute, windows->used_minute);
	__u32 day_left = limit_left(per_day, windows->used_day);

	ret_state->reserved = 0;
	if (day_left <= minute_left) {
		ret_state->remaining = day_left;
		ret_state->reset_ms = (windows->minute / LIMIT_MINUTES_DAY + 1ULL) * LIMIT_DAY_MS;
	} else {
		ret_state->remaining = minute_left;
		ret_state->reset_ms = (windows->minute + 1ULL) * LIMIT_MINUTE_MS;
	}
}

struct limit_attempt {
	struct key_usage *usage;
	__u64 now_ms;
	__u32 per_minute;
	__u32 per_day;
	struct limit_windows windows;
	enum limit_result result;
};

static long limit_try(__u32 index, void *context)
{
	struct limit_attempt *attempt = context;
	__u64 word = core_load(attempt->usage->windows);
	struct limit_windows windows = limit_at(word, attempt->now_ms);

	(void)index;
	attempt->windows = windows;
	if (windows.used_minute >= attempt->per_minute || windows.used_day >= attempt->per_day) {
		attempt->result = LIMIT_USED_UP;
		return 1;
	}
	windows.used_minute++;
	windows.used_day++;
	if (!core_swap(&attempt->usage->windows, word, limit_pack(&windows)))
		return 0;
	attempt->windows = windows;
	attempt->result = LIMIT_TAKEN;
	return 1;
}

/*
 * Count one request against both limits, or against neither. Exact under any concurrency.
 *
 * per_minute, per_day	what is allowed in each window
 * now_ms		milliseconds since the epoch
 * ret_state		the windows after it; not set where LIMIT_BUSY is returned
 *
 * Also counts what the key was admitted in total, and notes when it was last used.
 */
core_function enum limit_result limit_take(struct key_usage *usage, __u32 per_minute, __u32 per_day,
					   __u64 now_ms, struct limit_state *ret_state)
{
	struct limit_attempt attempt = {
		.usage = usage,
		.now_ms = now_ms,
		.per_minute = per_minute < LIMIT_MINUTE_MAX ? per_minute : LIMIT_MINUTE_MAX,
		.per_day = per_day < LIMIT_DAY_MAX ? per_day : LIMIT_DAY_MAX,
		.result = LIMIT_BUSY,
	};

	core_loop(LIMIT_ATTEMPTS, limit_try, &attempt);
	if (attempt.result == LIMIT_BUSY)
		return LIMIT_BUSY;
	if (attempt.result == LIMIT_TAKEN) {
		core_add(&usage->admitted, 1);
		core_store(usage->last_used, now_ms);
	}
	limit_describe(&attempt.windows, attempt.per_minute, attempt.per_day, ret_state);
	return attempt.result;
}

/*
 * When a key was used last, milliseconds since the epoch; 0: never. Its windows say in which minute that
 * was, or, where the clock was set back since, close enough to complete the lower half.
 */
core_inline __u64 limit_last_used(__u64 windows, __u32 last_used)
{
	__u64 minute_ms = (windows >> 32) * LIMIT_MINUTE_MS;

	return windows ? minute_ms + (__s32)(last_used - (__u32)minute_ms) : 0;
}

/*
 * Count a request that is answered that a limit is used up. Not limit_take()'s to do: one that cannot
 * be answered yet is judged again later, and would be counted each time.
 */
core_inline void limit_count_refused(struct key_usage *usage)
{
	core_add(&usage->refused, 1);
}

#endif
