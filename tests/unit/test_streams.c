/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The slow path's store: what it asks the kernel, when, and what it makes of the answers. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "streams.h"
#include "util.h"

#define COOKIE	5
#define NEVER	UINT64_MAX
#define HEAD_US (STREAM_HEAD_MS * 1000UL)
#define SAYS	4 /* answers of the kernel that an event may script */

/* --- the fake kernel --------------------------------------------------------------------------- */

struct answer {
	bool given;
	enum injected result;
	uint32_t number;
	int error; /* the datagram could not be sent */
};

static struct kernel {
	struct answer says[SAYS]; /* to the next questions */
	struct answer otherwise;  /* where none is given */
	size_t asked;		  /* questions so far */
	uint64_t cookies[SAYS];	  /* of whom the first were */
	char log[65536 + 256];
	size_t used;
} kernel;

static struct streams streams;

/* --- memory that is short ------------------------------------------------------------------------ */

static bool no_memory;

/* In the place of the C library's: what the store calls before it knows of one connection more. */
void *reallocarray(void *old, size_t count, size_t size)
{
	return no_memory || (size && count > SIZE_MAX / size) ? NULL : realloc(old, count * size);
}

static void write_log(const char *format, ...)
{
	size_t room = sizeof(kernel.log) - kernel.used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(kernel.log + kernel.used, room, format, arguments);
	va_end(arguments);
	kernel.used += (size_t)length < room ? (size_t)length : room - 1;
}

/* One line a question: "bytes 5: hello", with how many were handed up in all before the colon. */
static int answer(void *data, const struct injection *injection, const void *bytes, size_t length,
		  struct injecting *ret_injected)
{
	bool given = kernel.asked < SAYS && kernel.says[kernel.asked].given;
	struct answer says = given ? kernel.says[kernel.asked] : kernel.otherwise;

	if (kernel.asked < SAYS)
		kernel.cookies[kernel.asked] = injection->cookie;
	kernel.asked++;
	assert_ptr_equal(data, &kernel);
	assert_int_equal(bytes != NULL, injection->kind == INJECT_BYTES);
	write_log("%s%s%u", kernel.used ? "; " : "",
		  injection->kind == INJECT_BYTES     ? "bytes "
		  : injection->kind == INJECT_MORE    ? "more "
		  : injection->kind == INJECT_RELEASE ? "release "
						      : "end ",
		  injection->number);
	if (injection->kind == INJECT_BYTES)
		write_log(": %.*s", (int)length, (const char *)bytes);
	if (injection->kind == INJECT_END)
		write_log(" eaten %u%s", injection->eaten, injection->force ? " forced" : "");
	ret_injected->result = says.result;
	ret_injected->number = says.number;
	return says.error;
}

static void forget_questions(void)
{
	kernel = (struct kernel){ .otherwise = { .result = INJECTED_TAKEN } };
}

/* --- records ----------------------------------------------------------------------------------- */

static void hand(uint64_t cookie, uint32_t number, const char *bytes, size_t length,
		 uint64_t now_us)
{
	struct handoff *record = malloc(sizeof(*record) + length);

	assert_non_null(record);
	*record = (struct handoff){
		.cookie = cookie, .kind = HANDOFF_BYTES, .length = length, .number = number
	};
	memcpy(record + 1, bytes, length);
	streams_take(&streams, record, now_us);
	free(record);
}

static void hand_turn(uint64_t cookie, uint64_t now_us)
{
	const struct handoff record = { .cookie = cookie, .kind = HANDOFF_TURN };

	streams_take(&streams, &record, now_us);
}

static void hand_end(uint64_t cookie, uint32_t turns, uint32_t eaten, uint32_t quiet_ms,
		     uint64_t now_us)
{
	const struct handoff record = { .cookie = cookie,
					.kind = HANDOFF_END,
					.number = turns,
					.eaten = eaten,
					.quiet_ms = quiet_ms };

	streams_take(&streams, &record, now_us);
}

/* --- stories of one connection, a table each ---------------------------------------------------- */

enum what { NOTHING, BYTES, TURN, END };

/* A record, what the kernel says to the questions that follow from it, and what they are to be. */
struct event {
	uint64_t at_us;
	enum what what;
	uint32_t number; /* END: turns; 3 bytes eaten */
	const char *bytes;
	uint32_t quiet_ms;
	struct answer says[SAYS]; /* all others are taken */
	const char *asked;	  /* NULL: streams_run() is left for later */
	uint64_t due_us;
};

/* Up to an event with neither a record nor a question. */
#define EVENTS 12

#define AT(time)		  .at_us = time
#define HANDED(time, first, text) AT(time), .what = BYTES, .number = first, .bytes = text
#define TURN_AT(time)		  AT(time), .what = TURN
#define END_AT(time, turns)	  AT(time), .what = END, .number = turns

#define MORE(limit)  .given = true, .result = INJECTED_MORE, .number = limit
#define PART(length) .given = true, .result = INJECTED_PART, .number = length
#define EATEN(bytes) .given = true, .result = INJECTED_WAIT, .number = bytes
#define WAIT	     EATEN(0)
#define GONE	     .given = true, .result = INJECTED_GONE
#define LOST	     .given = true, .result = INJECTED_LOST
#define TAKEN	     .given = true, .result = INJECTED_TAKEN
#define UNSENT	     .given = true, .error = -EAGAIN

static const struct event at_once[EVENTS] = {
	{ HANDED(0, 0, "hello"), .asked = "bytes 5: hello; release 5", .due_us = NEVER },
	{ HANDED(9, 0, "again"), .asked = "bytes 5: again; release 5", .due_us = NEVER },
};

static const struct event in_order[EVENTS] = {
	{ HANDED(0, 0, "one") },
	{ HANDED(1, 3, "two") },
	{ HANDED(2, 6, "three"), .asked = "bytes 11: onetwothree; release 11", .due_us = NEVER },
};

static const struct event head_goes_on[EVENTS] = {
	{ HANDED(0, 0, "GET / HT"), .says = { { MORE(1000) } }, .asked = "bytes 8: GET / HT",
	  .due_us = HEAD_US },
	{ HANDED(500, 8, "TP/1.1\r\n"), .asked = "more 16", .due_us = HEAD_US },
	{ HANDED(600, 16, "Host: a\r\n\r"), .asked = "more 26", .due_us = HEAD_US },
	{ HANDED(700, 26, "\nhello"),
	  .asked = "bytes 32: GET / HTTP/1.1\r\nHost: a\r\n\r\nhello; release 32",
	  .due_us = NEVER },
};

static const struct event head_turns_bad[EVENTS] = {
	{ HANDED(0, 0, "GET / HT"), .says = { { MORE(1000) } }, .asked = "bytes 8: GET / HT",
	  .due_us = HEAD_US },
	{ HANDED(1, 8, "\n"), .asked = "bytes 9: GET / HT\n; release 9", .due_us = NEVER },
};

static const struct event head_too_large[EVENTS] = {
	{ HANDED(0, 0, "GET /345"), .says = { { MORE(12) } }, .asked = "bytes 8: GET /345",
	  .due_us = HEAD_US },
	{ HANDED(1, 8, "9abc"), .asked = "more 12", .due_us = HEAD_US },
	{ HANDED(2, 12, "d"), .asked = "bytes 13: GET /3459abcd; release 13", .due_us = NEVER },
};

static const struct event second_head_goes_on[EVENTS] = {
	{ HANDED(0, 0, "firstGET"), .says = { { PART(5) }, { TAKEN }, { MORE(1000) } },
	  .asked = "bytes 8: firstGET; bytes 8: first; bytes 8: GET", .due_us = HEAD_US },
	{ HANDED(7, 8, " / HTTP/1.0\r\n\r\n"),
	  .asked = "bytes 23: GET / HTTP/1.0\r\n\r\n; release 23", .due_us = NEVER },
};

static const struct event parts[EVENTS] = {
	{ HANDED(0, 0, "firstsecond"), .says = { { PART(5) } },
	  .asked = "bytes 11: firstsecond; bytes 11: first; bytes 11: second; release 11",
	  .due_us = NEVER },
};

static const struct event part_waits[EVENTS] = {
	{ HANDED(0, 0, "firstsecond"), .says = { { PART(5) }, { TAKEN }, { WAIT } },
	  .asked = "bytes 11: firstsecond; bytes 11: first; bytes 11: second", .due_us = 20 },
	{ HANDED(5, 11, "third"), .asked = "", .due_us = 20 },
	{ TURN_AT(9), .says = { { PART(6) } },
	  .asked = "bytes 16: secondthird; bytes 16: second; bytes 16: third; release 16",
	  .due_us = NEVER },
};

static const struct event pauses[EVENTS] = {
	{ HANDED(0, 0, "a"), .says = { { WAIT } }, .asked = "bytes 1: a", .due_us = 20 },
	{ AT(19), .asked = "", .due_us = 20 },
	{ AT(20), .says = { { WAIT } }, .asked = "bytes 1: a", .due_us = 60 },
	{ AT(60), .says = { { WAIT } }, .asked = "bytes 1: a", .due_us = 140 },
	{ AT(150), .says = { { WAIT } }, .asked = "bytes 1: a", .due_us = 310 },
	{ AT(310), .asked = "bytes 1: a; release 1", .due_us = NEVER },
};

static const struct event turn[EVENTS] = {
	{ HANDED(0, 0, "a"), .says = { { WAIT } }, .asked = "bytes 1: a", .due_us = 20 },
	{ AT(20), .says = { { WAIT } }, .asked = "bytes 1: a", .due_us = 60 },
	{ TURN_AT(21), .says = { { WAIT } }, .asked = "bytes 1: a", .due_us = 41 },
	{ TURN_AT(22), .asked = "bytes 1: a; release 1", .due_us = NEVER },
};

static const struct event head_waits[EVENTS] = {
	{ HANDED(0, 0, "GET / HTTP/1.0\r\n"), .says = { { MORE(99) } },
	  .asked = "bytes 16: GET / HTTP/1.0\r\n", .due_us = HEAD_US },
	{ HANDED(HEAD_US - 1, 16, "\r\n"), .says = { { UNSENT } },
	  .asked = "bytes 18: GET / HTTP/1.0\r\n\r\n", .due_us = HEAD_US + 19 },
	{ AT(HEAD_US + 19), .asked = "bytes 18: GET / HTTP/1.0\r\n\r\n; release 18",
	  .due_us = NEVER },
};

static const struct event unsent[EVENTS] = {
	{ HANDED(0, 0, "a"), .says = { { UNSENT } }, .asked = "bytes 1: a", .due_us = 20 },
	{ AT(20), .says = { { TAKEN }, { UNSENT } }, .asked = "bytes 1: a; release 1",
	  .due_us = 40 },
	{ AT(40), .asked = "release 1", .due_us = NEVER },
	{ END_AT(50, 2), .says = { { UNSENT }, { UNSENT } },
	  .asked = "end 2 eaten 3; end 2 eaten 3 forced", .due_us = 70 },
	{ AT(70), .asked = "end 2 eaten 3", .due_us = NEVER },
};

static const struct event more_on_its_way[EVENTS] = {
	{ HANDED(0, 0, "a"), .says = { { TAKEN }, { WAIT } }, .asked = "bytes 1: a; release 1",
	  .due_us = 20 },
	{ HANDED(5, 1, "b"), .says = { { TAKEN }, { WAIT } }, .asked = "bytes 2: b; release 2",
	  .due_us = 25 },
	{ AT(25), .asked = "release 2", .due_us = NEVER },
};

static const struct event gap[EVENTS] = {
	{ HANDED(0, 0, "abc"), .says = { { MORE(99) } }, .asked = "bytes 3: abc",
	  .due_us = HEAD_US },
	{ HANDED(1, 5, "f"), .asked = "end 0 eaten 0 forced", .due_us = NEVER },
};

static const struct event begun_anew[EVENTS] = {
	{ HANDED(0, 0, "abc"), .says = { { MORE(99) } }, .asked = "bytes 3: abc",
	  .due_us = HEAD_US },
	{ HANDED(1, 0, "abc"), .asked = "end 0 eaten 0 forced", .due_us = NEVER },
};

static const struct event begins_late[EVENTS] = {
	{ HANDED(0, 7, "abc"), .asked = "end 0 eaten 0 forced", .due_us = NEVER },
};

static const struct event slow_head[EVENTS] = {
	{ HANDED(0, 0, "GET"), .says = { { MORE(99) } }, .asked = "bytes 3: GET",
	  .due_us = HEAD_US },
	{ HANDED(7000000, 3, " "), .asked = "more 4", .due_us = HEAD_US },
	{ AT(HEAD_US - 1), .asked = "", .due_us = HEAD_US },
	{ AT(HEAD_US), .asked = "end 0 eaten 0 forced", .due_us = NEVER },
};

/* What comes behind bytes that are lost is no request. */
static const struct event nothing_behind_a_loss[EVENTS] = {
	{ HANDED(0, 0, "GET"), .says = { { MORE(99) } }, .asked = "bytes 3: GET",
	  .due_us = HEAD_US },
	{ AT(HEAD_US), .says = { { WAIT } }, .asked = "end 0 eaten 0 forced",
	  .due_us = HEAD_US + 20 },
	{ HANDED(HEAD_US + 1, 3, "GET / HTTP/1.0\r\n\r\n"), .asked = "", .due_us = HEAD_US + 20 },
	{ TURN_AT(HEAD_US + 2), .asked = "", .due_us = HEAD_US + 20 },
	{ END_AT(HEAD_US + 3, 9), .quiet_ms = 1000, .asked = "", .due_us = HEAD_US + 20 },
	{ AT(HEAD_US + 20), .says = { { WAIT } }, .asked = "end 0 eaten 0 forced",
	  .due_us = HEAD_US + 40 },
	{ AT(HEAD_US + 40), .asked = "end 0 eaten 0 forced", .due_us = NEVER },
};

static const struct event quiet[EVENTS] = {
	{ END_AT(0, 4), .quiet_ms = 100, .asked = "", .due_us = 100000 },
	{ AT(99999), .asked = "", .due_us = 100000 },
	{ AT(100000), .asked = "end 4 eaten 3", .due_us = NEVER },
};

static const struct event not_quiet[EVENTS] = {
	{ END_AT(0, 4), .quiet_ms = 100, .asked = "", .due_us = 100000 },
	{ AT(100000), .says = { { EATEN(9) } }, .asked = "end 4 eaten 3", .due_us = 200000 },
	{ AT(200000), .says = { { EATEN(9) } }, .asked = "end 4 eaten 9", .due_us = 300000 },
	{ AT(300000), .asked = "end 4 eaten 9", .due_us = NEVER },
};

static const struct event end_anew[EVENTS] = {
	{ END_AT(0, 4), .quiet_ms = 100, .asked = "", .due_us = 100000 },
	{ END_AT(50000, 5), .quiet_ms = 100, .asked = "", .due_us = 150000 },
	{ AT(150000), .asked = "end 5 eaten 3", .due_us = NEVER },
};

static const struct event end_now[EVENTS] = {
	{ END_AT(0, 4), .says = { { EATEN(7) }, { EATEN(7) } },
	  .asked = "end 4 eaten 3; end 4 eaten 3 forced", .due_us = 20 },
	{ AT(20), .says = { { EATEN(8) } }, .asked = "end 4 eaten 7; end 4 eaten 7 forced",
	  .due_us = NEVER },
};

/* A refused body is eaten on the slow path, while the connection is to end unless it comes. */
static const struct event end_and_bytes[EVENTS] = {
	{ END_AT(0, 4), .quiet_ms = 100 },
	{ HANDED(1, 0, "GET"), .says = { { MORE(99) } }, .asked = "bytes 3: GET",
	  .due_us = 100000 },
	{ AT(100000), .asked = "end 4 eaten 3", .due_us = HEAD_US + 1 },
	{ HANDED(100001, 3, "X\r"), .asked = "bytes 5: GETX\r; release 5", .due_us = NEVER },
};

static const struct event gone[EVENTS] = {
	{ HANDED(0, 0, "firstsecond"), .says = { { PART(5) }, { GONE } },
	  .asked = "bytes 11: firstsecond; bytes 11: first", .due_us = NEVER },
};

static const struct event lost[EVENTS] = {
	{ HANDED(0, 0, "firstsecond"), .says = { { PART(5) }, { LOST } },
	  .asked = "bytes 11: firstsecond; bytes 11: first; end 0 eaten 0 forced",
	  .due_us = NEVER },
};

static const struct event gone_while_in_head[EVENTS] = {
	{ HANDED(0, 0, "GET"), .says = { { MORE(99) } }, .asked = "bytes 3: GET",
	  .due_us = HEAD_US },
	{ END_AT(1, 4), .quiet_ms = 100, .asked = "more 3", .due_us = 100001 },
	{ HANDED(2, 3, "\n"), .says = { { GONE } }, .asked = "bytes 4: GET\n", .due_us = NEVER },
};

static const struct event unknown_turn[EVENTS] = {
	{ TURN_AT(0), .asked = "", .due_us = NEVER },
};

static bool is_last(const struct event *event)
{
	return event->what == NOTHING && !event->asked;
}

static void play_event(const struct event *event)
{
	uint64_t due_us;

	if (event->what == BYTES)
		hand(COOKIE, event->number, event->bytes, strlen(event->bytes), event->at_us);
	else if (event->what == TURN)
		hand_turn(COOKIE, event->at_us);
	else if (event->what == END)
		hand_end(COOKIE, event->number, 3, event->quiet_ms, event->at_us);
	if (!event->asked)
		return;
	forget_questions();
	memcpy(kernel.says, event->says, sizeof(kernel.says));
	due_us = streams_run(&streams, event->at_us);
	assert_string_equal(kernel.log, event->asked);
	assert_int_equal(due_us, event->due_us);
}

static void play(void **state)
{
	const struct event *events = *state;

	streams_init(&streams, answer, &kernel);
	for (size_t i = 0; i < EVENTS && !is_last(&events[i]); i++)
		play_event(&events[i]);
	assert_int_equal(streams.count, 0);
	assert_int_equal(streams.bytes, 0);
	streams_clear(&streams);
}

/* --- many, and long ---------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	streams_init(&streams, answer, &kernel);
	forget_questions();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	streams_clear(&streams);
	return streams.bytes || streams.count || streams.tree;
}

static void test_pause_grows_to_a_second(void **state)
{
	uint64_t now_us = 0, due_us, pause_us = 20;

	(void)state;
	kernel.otherwise = (struct answer){ WAIT };
	hand(COOKIE, 0, "a", 1, now_us);
	for (int i = 0; i < 30; i++) {
		due_us = streams_run(&streams, now_us);
		assert_int_equal(due_us - now_us, pause_us);
		now_us = due_us;
		pause_us = pause_us < 500000 ? 2 * pause_us : 1000000;
	}
	assert_int_equal(kernel.asked, 30);
}

/* A datagram has its limit; what does not fit goes on behind it. */
static void test_large(void **state)
{
	enum { SIZE = 3 * 50000 };
	char *bytes = malloc(SIZE);

	(void)state;
	assert_non_null(bytes);
	memset(bytes, 'x', SIZE);
	for (int i = 0; i < 3; i++)
		hand(COOKIE, i * 50000, bytes, 50000, 0);
	assert_int_equal(streams_run(&streams, 0), NEVER);
	assert_int_equal(kernel.asked, 4); /* 65536, 65536, 18928; release */
	assert_int_equal(strcspn(kernel.log, "x"), strlen("bytes 150000: "));
	assert_int_equal(strspn(kernel.log + strlen("bytes 150000: "), "x"), INJECT_BYTES_MAX);
	assert_int_equal(streams.count, 0);
	free(bytes);
}

#define SHORT 27 /* bytes of a request */

/* As many bytes as are copied are added up; all of them are requests of SHORT bytes. */
static int judge_short(void *data, const struct injection *injection, const void *bytes,
		       size_t length, struct injecting *ret_injected)
{
	size_t *copied = data;

	(void)injection;
	*copied += bytes ? length : 0;
	ret_injected->result = bytes && length > SHORT ? INJECTED_PART : INJECTED_TAKEN;
	ret_injected->number = SHORT;
	return 0;
}

static void test_pipeline(void **state)
{
	enum { REQUESTS = 1000, SIZE = REQUESTS * SHORT, EACH = 8192 };
	char bytes[SIZE];
	size_t copied = 0;

	(void)state;
	memset(bytes, 'x', SIZE);
	streams_clear(&streams);
	streams_init(&streams, judge_short, &copied);
	hand(COOKIE, 0, bytes, SIZE, 0);
	assert_int_equal(streams_run(&streams, 0), NEVER);
	assert_int_equal(streams.count, 0);
	assert_in_range(copied, SIZE, SIZE + REQUESTS * EACH);
}

/* A head that is longer than what was asked for is asked for whole. */
static void test_pipeline_and_a_long_head(void **state)
{
	enum { LONG = 9000 };
	char bytes[SHORT + LONG];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	kernel.says[0] = (struct answer){ PART(SHORT) };
	kernel.says[2] = (struct answer){ MORE(1000) };
	hand(COOKIE, 0, bytes, sizeof(bytes), 0);
	assert_int_equal(streams_run(&streams, 0), NEVER);
	/* All of it; the first request; as much as was worth while; the rest; release. */
	assert_int_equal(kernel.asked, 5);
	assert_int_equal(kernel.used, 5 * 2 - 2 + 4 * strlen("bytes 9027: ") + sizeof(bytes) +
					      SHORT + 4096 + LONG + strlen("release 9027"));
	assert_int_equal(streams.count, 0);
}

/* Fill a connection's room, a power of 2, to its last byte. */
static void fill(uint64_t cookie, const char *bytes, size_t room)
{
	size_t piece = room < 32768 ? room : 32768;

	for (size_t at = 0; at < room; at += piece)
		hand(cookie, at, bytes, piece, 0);
	streams_run(&streams, 0);
}

/* What the kernel is asked when a record of one byte comes, while it would have all else wait. */
static void hand_one(uint64_t cookie, uint32_t number, uint64_t now_us)
{
	forget_questions();
	kernel.otherwise = (struct answer){ WAIT };
	hand(cookie, number, "a", 1, now_us);
	streams_run(&streams, now_us);
}

/* Fill all that there is, in rooms of that size, from cookie 1 on. Returns how many that takes. */
static uint64_t fill_all(size_t room)
{
	uint64_t full = STREAM_BYTES_MAX / room;
	char *bytes = calloc(1, room < 32768 ? room : 32768);

	assert_non_null(bytes);
	kernel.otherwise = (struct answer){ WAIT };
	for (uint64_t cookie = 1; cookie <= full; cookie++)
		fill(cookie, bytes, room);
	free(bytes);
	assert_int_equal(streams.bytes, STREAM_BYTES_MAX);
	assert_int_equal(streams.count, full);
	return full;
}

/* Those who keep the most make room, the one that has kept it the longest first. */
static void test_newcomers(void **state)
{
	enum { ROOM = 4 * 1024 * 1024 };
	uint64_t full = fill_all(ROOM);

	(void)state;
	hand_one(full + 1, 0, 1);
	assert_string_equal(kernel.log, "bytes 1: a; end 0 eaten 0 forced");
	assert_int_equal(kernel.cookies[0], full + 1);
	assert_int_equal(kernel.cookies[1], 1);
	assert_int_equal(streams.bytes, STREAM_BYTES_MAX - ROOM + STREAM_ROOM_MIN);

	/* There is room for more, for as many as fit into what that one had. */
	for (uint64_t i = 2; i <= ROOM / STREAM_ROOM_MIN; i++) {
		hand_one(full + i, 0, 1);
		assert_string_equal(kernel.log, "bytes 1: a");
	}
	assert_int_equal(streams.bytes, STREAM_BYTES_MAX);
	hand_one(full + ROOM, 0, 1);
	assert_string_equal(kernel.log, "bytes 1: a; end 0 eaten 0 forced");
	assert_int_equal(kernel.cookies[1], 2);

	/* What comes behind what was dropped is not kept. */
	hand_one(1, ROOM, 2);
	assert_string_equal(kernel.log, "");
}

/* One that would keep more than any other is ended itself, and so is one that would keep as much. */
static void test_greedy(void **state)
{
	enum { ROOM = 4 * 1024 * 1024 };
	uint64_t full = fill_all(ROOM);

	(void)state;
	hand_one(3, ROOM, 1);
	assert_string_equal(kernel.log, "end 0 eaten 0 forced");
	assert_int_equal(kernel.cookies[0], 3);
	assert_int_equal(streams.bytes, STREAM_BYTES_MAX - ROOM);
	hand_one(full + 1, 0, 1);
	assert_string_equal(kernel.log, "bytes 1: a");
}

static void test_equals(void **state)
{
	uint64_t full = fill_all(STREAM_ROOM_MIN);

	(void)state;
	hand_one(full + 1, 0, 1);
	assert_string_equal(kernel.log, "end 0 eaten 0 forced");
	assert_int_equal(kernel.cookies[0], full + 1);
	assert_int_equal(streams.bytes, STREAM_BYTES_MAX);
}

/* One that grows while all is taken takes from those above it, up to where nobody is. */
static void test_climber(void **state)
{
	enum { ROOM = 32 * 1024 * 1024, CHUNK = 32768 };
	uint64_t climber = fill_all(ROOM) + 1;
	char *bytes = calloc(1, CHUNK);
	size_t at = 0;

	(void)state;
	assert_non_null(bytes);
	for (; at < ROOM; at += CHUNK) {
		hand(climber, at, bytes, CHUNK, 1);
		assert_true(streams.bytes <= STREAM_BYTES_MAX);
	}
	assert_int_equal(streams.bytes, STREAM_BYTES_MAX);
	hand_one(climber, at, 1);
	assert_int_equal(streams.bytes, ROOM);
	assert_int_equal(kernel.asked, 2);
	assert_int_equal(kernel.cookies[0] + kernel.cookies[1], climber + 1);
	free(bytes);
}

/* A body that is eaten without an end is not waited for without an end. */
static void test_never_quiet(void **state)
{
	uint64_t due_us = 0;

	(void)state;
	hand_end(COOKIE, 1, 0, 10000, 0);
	for (int i = 1; i < 50; i++) {
		due_us = streams_run(&streams, due_us);
		assert_int_equal(due_us, i * 10000000UL);
		forget_questions();
		kernel.otherwise = (struct answer){ EATEN(i) };
	}
	due_us = streams_run(&streams, due_us);
	assert_string_equal(kernel.log, "end 1 eaten 48");
	assert_int_equal(due_us, 500000000);
	forget_questions();
	kernel.says[0] = (struct answer){ EATEN(50) };
	assert_int_equal(streams_run(&streams, due_us), NEVER);
	assert_string_equal(kernel.log, "end 1 eaten 49; end 1 eaten 49 forced");
	assert_int_equal(streams.count, 0);
}

#define UNKNOWN_US (STREAM_UNKNOWN_MS * 1000UL)

static void test_end_unknown(void **state)
{
	(void)state;
	kernel.says[0] = (struct answer){ MORE(99) };
	hand(COOKIE, 0, "a", 1, 0);
	streams_end_unknown(&streams, COOKIE, 0);
	streams_end_unknown(&streams, COOKIE + 1, 0);
	assert_int_equal(streams_run(&streams, 0), UNKNOWN_US);
	assert_string_equal(kernel.log, "bytes 1: a");
	assert_int_equal(streams_run(&streams, UNKNOWN_US), HEAD_US);
	assert_string_equal(kernel.log, "bytes 1: a; end 0 eaten 0 forced");
	assert_int_equal(streams.count, 1);
}

/* What could not be kept is not forgotten: the connection ends, with what comes of it at the latest. */
static void test_no_memory(void **state)
{
	(void)state;
	kernel.says[0] = (struct answer){ WAIT };
	no_memory = true;
	hand(COOKIE, 0, "one", 3, 0);
	hand_turn(COOKIE, 0);
	no_memory = false;
	assert_int_equal(streams.count, 0);
	assert_string_equal(kernel.log, "end 0 eaten 0 forced");
	assert_int_equal(kernel.cookies[0], COOKIE);
	hand(COOKIE, 3, "two", 3, 1);
	assert_int_equal(streams_run(&streams, 1), NEVER);
	assert_string_equal(kernel.log, "end 0 eaten 0 forced; end 0 eaten 0 forced");
	assert_int_equal(streams.count, 0);
}

/* It is known after all where its first bytes were on their way; those behind them are not enough. */
static void test_unknown_comes(void **state)
{
	(void)state;
	streams_end_unknown(&streams, COOKIE, 0);
	streams_end_unknown(&streams, COOKIE + 1, 0);
	hand(COOKIE, 0, "one", 3, 1);
	hand(COOKIE, 3, "two", 3, 1);
	hand(COOKIE + 1, 3, "two", 3, 1);
	assert_int_equal(streams_run(&streams, 1), UNKNOWN_US);
	assert_string_equal(kernel.log, "bytes 6: onetwo; release 6");
	assert_int_equal(streams_run(&streams, UNKNOWN_US), NEVER);
	assert_string_equal(kernel.log, "bytes 6: onetwo; release 6; end 0 eaten 0 forced");
	assert_int_equal(kernel.cookies[2], COOKIE + 1);
}

/* What is due comes in its order, whatever was added and dropped between. */
static void test_order(void **state)
{
	enum { MANY = 2000 };
	uint64_t now_us = 0, due_us;
	size_t ended = 0;
	uint32_t random = 1;

	(void)state;
	for (uint64_t cookie = 0; cookie < MANY; cookie++) {
		random = random * 1103515245 + 12345;
		hand_end(cookie, 0, 0, 1 + (random >> 16) % 500, 0);
		/* Some are due at another time after all, or have bytes that are taken at once. */
		if (cookie % 3 == 0)
			hand_end(cookie / 2, 0, 0, 1 + (random >> 8) % 500, 0);
		if (cookie % 5 == 0)
			hand(cookie, 0, "a", 1, 0);
	}
	due_us = streams_run(&streams, now_us);
	assert_int_equal(streams.count, MANY);
	while (due_us != NEVER) {
		assert_true(due_us > now_us);
		now_us = due_us;
		forget_questions();
		due_us = streams_run(&streams, now_us);
		assert_true(kernel.asked > 0);
		ended += kernel.asked;
	}
	assert_int_equal(ended, MANY);
	assert_true(now_us <= 500000);
	assert_int_equal(streams.count, 0);
}

/* Connections come and go at random, with whatever the kernel may say to it. */
static void test_anything(void **state)
{
	enum { ROUNDS = 200000, CONNECTIONS = 40 };
	uint32_t received[CONNECTIONS] = { 0 }, random = 7;
	uint64_t now_us = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		unsigned int which;

		random = random * 1103515245 + 12345;
		which = (random >> 16) % CONNECTIONS;
		now_us += (random >> 8) % 3000;
		kernel.asked = kernel.used = 0;
		kernel.otherwise.result = (random >> 13) % (INJECTED_LOST + 1);
		kernel.otherwise.number = (random >> 20) % 64;
		switch ((random >> 24) % 4) {
		case 0:
			received[which] = 0;
			/* fall through */
		case 1:
			hand(which, received[which], "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			     (random >> 5) % 27 + 1, now_us);
			received[which] += (random >> 5) % 27 + 1;
			break;
		case 2:
			hand_turn(which, now_us);
			break;
		default:
			hand_end(which, 0, 0, (random >> 12) % 100, now_us);
		}
		if (random >> 30)
			assert_true(streams_run(&streams, now_us) > now_us);
		assert_true(streams.count <= CONNECTIONS);
	}
}

#define STORY(name, story)                                                                         \
	{                                                                                          \
		name, play, NULL, NULL, (void *)story                                              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY("bytes are judged at once, the connection given back, and forgotten",
		      at_once),
		STORY("bytes of several records are judged together, in order", in_order),
		STORY("a head that goes on is asked about again when it is over", head_goes_on),
		STORY("a head that turns bad is over", head_turns_bad),
		STORY("a head that is too large is over", head_too_large),
		STORY("a head behind a request is taken for one, too", second_head_goes_on),
		STORY("what can be judged at once goes alone, the rest behind it", parts),
		STORY("what waits for its turn waits with all that comes behind it", part_waits),
		STORY("without a turn it is tried again, with growing pauses", pauses),
		STORY("with its turn it is tried at once", turn),
		STORY("a head that is over has no time limit any more", head_waits),
		STORY("what could not be sent is tried again", unsent),
		STORY("a connection of which more is on its way is given back later",
		      more_on_its_way),
		STORY("bytes that are missing end the connection", gap),
		STORY("bytes that begin anew while some are kept end it", begun_anew),
		STORY("bytes whose begin another relay had end it", begins_late),
		STORY("a head that takes longer than its time ends it", slow_head),
		STORY("behind bytes that are lost nothing is judged", nothing_behind_a_loss),
		STORY("a connection that is quiet for the time asked for is ended", quiet),
		STORY("one that is not quiet is looked at again", not_quiet),
		STORY("of two ends the later one counts", end_anew),
		STORY("an end without a time is tried at once until it is done", end_now),
		STORY("an end and bytes go side by side", end_and_bytes),
		STORY("a connection that has ended is forgotten", gone),
		STORY("so is one in a head, with an end that was due", gone_while_in_head),
		STORY("bytes that the application could not be given end it, with what is behind "
		      "them",
		      lost),
		STORY("a turn of a connection without bytes is nothing", unknown_turn),
		ROW("pauses grow to a second and no longer", test_pause_grows_to_a_second),
		ROW("more than a datagram holds goes in several", test_large),
		ROW("of requests that follow each other not all is copied for each", test_pipeline),
		ROW("a long head behind them is copied whole", test_pipeline_and_a_long_head),
		ROW("where all is taken, who keeps the most makes room for a newcomer",
		    test_newcomers),
		ROW("one that would keep more than any other is ended itself", test_greedy),
		ROW("so is a newcomer where nobody keeps more than it would", test_equals),
		ROW("one that grows takes from those above it, and never itself", test_climber),
		ROW("a connection that is never quiet is ended by force at last", test_never_quiet),
		ROW("a connection of a former relay is ended, one that is known is not",
		    test_end_unknown),
		ROW("but for one whose first bytes were on their way", test_unknown_comes),
		ROW("bytes of one that there is no memory for end it", test_no_memory),
		ROW("what is due comes in its order", test_order),
		ROW("whatever comes, no time that has passed is due", test_anything),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("streams", tests, NULL, NULL);
}
