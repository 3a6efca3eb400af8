/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a store keeps goes from one relay to the next whole, or not at all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "streams.h"
#include "util.h"

#define NEVER	   UINT64_MAX
#define HEAD_US	   (STREAM_HEAD_MS * 1000UL)
#define UNKNOWN_US (STREAM_UNKNOWN_MS * 1000UL)

/* Places in the file: its header, and in it; a stream behind it, and in that. */
#define HEADER	   16
#define VERSION_AT 4
#define COUNT_AT   8
#define SAVED	   64
#define COOKIE_AT  HEADER
#define QUIET_AT   (HEADER + 16)
#define FLAGS_AT   (HEADER + 40)
#define LENGTH_AT  (HEADER + 44)
#define LIMIT_AT   (HEADER + 52)

/* --- the fake kernel --------------------------------------------------------------------------- */

static struct kernel {
	struct injecting says;
	char log[1024];
	size_t used;
} kernel;

static const char *const kinds[] = {
	[INJECT_BYTES] = "bytes",
	[INJECT_MORE] = "more",
	[INJECT_RELEASE] = "release",
	[INJECT_END] = "end",
};

/* "bytes 1 5: hello": of which connection, and how many were handed up in all. */
static int answer(void *data, const struct injection *injection, const void *bytes, size_t length,
		  struct injecting *ret_injected)
{
	struct kernel *to = data;
	size_t room = sizeof(to->log) - to->used;
	int written;

	written = snprintf(to->log + to->used, room, "%s%s %llu %u%s%.*s", to->used ? "; " : "",
			   kinds[injection->kind], injection->cookie, injection->number,
			   bytes ? ": " : "", bytes ? (int)length : 0,
			   bytes ? (const char *)bytes : "");
	to->used += (size_t)written < room ? (size_t)written : room - 1;
	if (injection->kind == INJECT_END && injection->force)
		strcat(to->log, "!");
	to->used = strlen(to->log);
	*ret_injected = to->says;
	return 0;
}

static void kernel_says(enum injected result, uint32_t number)
{
	kernel = (struct kernel){ .says = { .result = result, .number = number } };
}

/* --- two relays -------------------------------------------------------------------------------- */

static struct streams former, next;
static int file;

static int set_up(void **state)
{
	(void)state;
	streams_init(&former, answer, &kernel);
	streams_init(&next, answer, &kernel);
	file = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return file < 0;
}

static int tear_down(void **state)
{
	(void)state;
	streams_clear(&former);
	streams_clear(&next);
	close(file);
	return next.bytes || next.count || next.tree;
}

static void hand(struct streams *streams, uint64_t cookie, uint32_t number, const char *bytes,
		 uint64_t now_us)
{
	size_t length = strlen(bytes);
	struct handoff *record = malloc(sizeof(*record) + length);

	assert_non_null(record);
	*record = (struct handoff){
		.cookie = cookie, .kind = HANDOFF_BYTES, .length = length, .number = number
	};
	memcpy(record + 1, bytes, length);
	streams_take(streams, record, now_us);
	free(record);
}

static void hand_end(struct streams *streams, uint64_t cookie, uint32_t quiet_ms, uint64_t now_us)
{
	const struct handoff record = {
		.cookie = cookie, .kind = HANDOFF_END, .number = 4, .quiet_ms = quiet_ms
	};

	streams_take(streams, &record, now_us);
}

static void take_over(uint64_t now_us)
{
	assert_int_equal(streams_hand_over(&former, file), 0);
	assert_int_equal(streams_take_over(&next, file, now_us), 0);
	assert_int_equal(next.count, former.count);
}

/* Run the next one, and check what it asks, and when it wants to be called again. */
static void expect(uint64_t now_us, const char *asked, uint64_t due_us)
{
	assert_int_equal(streams_run(&next, now_us), due_us);
	assert_string_equal(kernel.log, asked);
}

static void test_nothing(void **state)
{
	(void)state;
	take_over(0);
	expect(0, "", NEVER);
}

/* A head has no more time than it had, and its bytes go on in their numbers. */
static void test_half_head(void **state)
{
	(void)state;
	kernel_says(INJECTED_MORE, 1000);
	hand(&former, 1, 0, "\r\nGET / HT", 0);
	streams_run(&former, 0);
	hand(&former, 1, 10, "TP/1.1\r\n", 5);
	streams_run(&former, 5);
	take_over(7000000);
	kernel_says(INJECTED_TAKEN, 0);
	expect(7000000, "more 1 18", HEAD_US);
	hand(&next, 1, 18, "Host: a\r\n\r\n", 7000001);
	kernel_says(INJECTED_TAKEN, 0);
	expect(7000001, "bytes 1 29: \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n; release 1 29", NEVER);
}

static void test_half_head_too_late(void **state)
{
	(void)state;
	kernel_says(INJECTED_MORE, 1000);
	hand(&former, 1, 0, "GET", 0);
	streams_run(&former, 0);
	take_over(HEAD_US + 1);
	kernel_says(INJECTED_TAKEN, 0);
	expect(HEAD_US + 1, "end 1 0!", NEVER);
}

/* What waits for its turn is asked for anew, without what was judged already. */
static void test_waiting(void **state)
{
	(void)state;
	kernel_says(INJECTED_WAIT, 0);
	hand(&former, 1, 0, "first", 0);
	hand(&former, 2, 0, "other", 0);
	streams_run(&former, 0);
	hand(&former, 1, 5, "second", 1);
	streams_run(&former, 1000000);
	take_over(1000000);
	kernel_says(INJECTED_WAIT, 0);
	assert_int_equal(streams_run(&next, 1000000), 1000020);
	assert_non_null(strstr(kernel.log, "bytes 1 11: firstsecond"));
	assert_non_null(strstr(kernel.log, "bytes 2 5: other"));
	hand(&next, 1, 11, "third", 1000010);
	kernel_says(INJECTED_TAKEN, 0);
	/* Two that are due at once come in any order. */
	assert_int_equal(streams_run(&next, 1000020), NEVER);
	assert_non_null(strstr(kernel.log, "bytes 1 16: firstsecondthird; release 1 16"));
	assert_non_null(strstr(kernel.log, "bytes 2 5: other; release 2 5"));
}

static void test_ends(void **state)
{
	(void)state;
	hand_end(&former, 1, 100, 0);
	streams_end_unknown(&former, 2, 0);
	streams_end_unknown(&former, 3, 0);
	streams_run(&former, 0);
	take_over(50000);
	kernel_says(INJECTED_TAKEN, 0);
	expect(50000, "", 100000);
	expect(100000, "end 1 4", UNKNOWN_US);
	hand(&next, 2, 0, "hello", 100001);
	kernel_says(INJECTED_TAKEN, 0);
	expect(100001, "bytes 2 5: hello; release 2 5", UNKNOWN_US);
	kernel_says(INJECTED_TAKEN, 0);
	expect(UNKNOWN_US, "end 3 0!", NEVER);
}

/* Behind bytes that were lost nothing is judged, by the next relay either. */
static void test_lost(void **state)
{
	(void)state;
	kernel_says(INJECTED_WAIT, 0);
	hand(&former, 1, 7, "abc", 0);
	streams_run(&former, 0);
	take_over(1);
	hand(&next, 1, 10, "GET / HTTP/1.0\r\n\r\n", 1);
	kernel_says(INJECTED_TAKEN, 0);
	expect(20, "end 1 0!", NEVER);
}

/* All that fits into one store fits into the next. */
static void test_full(void **state)
{
	enum { PIECE = 32768, ROOM = 4 * 1024 * 1024, FULL = STREAM_BYTES_MAX / ROOM };
	char *bytes = malloc(PIECE);

	(void)state;
	assert_non_null(bytes);
	memset(bytes, 'x', PIECE - 1);
	bytes[PIECE - 1] = '\0';
	for (uint64_t cookie = 1; cookie <= FULL; cookie++)
		for (size_t at = 0; at + PIECE < ROOM; at += PIECE - 1)
			hand(&former, cookie, at, bytes, 0);
	free(bytes);
	assert_int_equal(former.bytes, STREAM_BYTES_MAX);
	take_over(0);
	assert_int_equal(next.bytes, STREAM_BYTES_MAX);
}

/* --- what is no such file ---------------------------------------------------------------------- */

/* A half head and an end: two streams, SAVED bytes each and 3 between. */
static void write_file(void)
{
	kernel_says(INJECTED_MORE, 1000);
	hand(&former, 1, 0, "GET", 0);
	hand_end(&former, 2, 100, 0);
	streams_run(&former, 0);
	assert_int_equal(streams_hand_over(&former, file), 0);
}

#define FILE_SIZE (HEADER + SAVED + 3 + SAVED)

static void expect_refused(int error)
{
	assert_int_equal(streams_take_over(&next, file, 0), error);
	assert_int_equal(next.count, 0);
	assert_int_equal(next.bytes, 0);
}

static void fresh_file(const void *bytes, size_t size)
{
	close(file);
	file = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(file >= 0);
	assert_int_equal(write(file, bytes, size), size);
}

/* A copy of what was written, so that it ends where its memory ends. */
static uint8_t *read_file_whole(void)
{
	uint8_t *bytes = malloc(FILE_SIZE);
	struct stat status;

	assert_non_null(bytes);
	assert_int_equal(fstat(file, &status), 0);
	assert_int_equal(status.st_size, FILE_SIZE);
	assert_int_equal(pread(file, bytes, FILE_SIZE, 0), FILE_SIZE);
	return bytes;
}

static void test_cut_short(void **state)
{
	uint8_t *bytes;

	(void)state;
	write_file();
	bytes = read_file_whole();
	for (size_t size = 0; size < FILE_SIZE; size++) {
		fresh_file(bytes, size);
		expect_refused(-EBADMSG);
	}
	free(bytes);
}

struct damage {
	size_t at, size;
	uint64_t value;
	int error;
};

static const struct damage damages[] = {
	{ 0, 4, 0, -EPROTO },
	{ VERSION_AT, 4, 0, -EPROTO },
	{ VERSION_AT, 4, 2, -EPROTO },
	{ COUNT_AT, 8, 0, -EBADMSG },
	{ COUNT_AT, 8, 1, -EBADMSG },
	{ COUNT_AT, 8, 3, -EBADMSG },
	{ COUNT_AT, 8, UINT64_MAX, -EBADMSG },
	{ COOKIE_AT, 8, 2, -EBADMSG },
	{ QUIET_AT, 8, UINT64_MAX, -EBADMSG },
	{ FLAGS_AT, 4, 0, -EBADMSG },
	{ FLAGS_AT, 4, 2, -EBADMSG },
	{ FLAGS_AT, 4, 4, -EBADMSG },
	{ FLAGS_AT, 4, 1 | 8, -EBADMSG },
	{ FLAGS_AT, 4, 1 | 16, -EBADMSG },
	{ FLAGS_AT, 4, 1 | 32, -EBADMSG },
	{ FLAGS_AT, 4, UINT32_MAX, -EBADMSG },
	{ LENGTH_AT, 4, 0, -EBADMSG },
	{ LENGTH_AT, 4, 2, -EBADMSG },
	{ LENGTH_AT, 4, 4, -EBADMSG },
	{ LENGTH_AT, 4, UINT32_MAX, -EBADMSG },
	{ LIMIT_AT, 4, UINT32_MAX, -EBADMSG },
};

static void test_damaged(void **state)
{
	uint8_t *bytes;

	(void)state;
	write_file();
	bytes = read_file_whole();
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		fresh_file(bytes, FILE_SIZE);
		assert_int_equal(pwrite(file, &damages[i].value, damages[i].size, damages[i].at),
				 damages[i].size);
		expect_refused(damages[i].error);
	}
	free(bytes);
}

/* Whatever it says, it is refused, or what it says comes to an end. */
static void test_any_damage(void **state)
{
	uint64_t due_us;
	uint8_t *bytes;

	(void)state;
	write_file();
	bytes = read_file_whole();
	for (size_t at = 0; at < 8 * FILE_SIZE; at++) {
		bytes[at / 8] ^= 1 << at % 8;
		fresh_file(bytes, FILE_SIZE);
		bytes[at / 8] ^= 1 << at % 8;
		if (streams_take_over(&next, file, 0))
			assert_int_equal(next.count, 0);
		kernel_says(INJECTED_TAKEN, 0);
		due_us = streams_run(&next, 0);
		for (int i = 0; due_us != NEVER && i < 10; i++)
			due_us = streams_run(&next, due_us);
		assert_int_equal(next.count, 0);
	}
	free(bytes);
}

/* More than may be kept of all, in one stream. */
static void test_too_much(void **state)
{
	const uint64_t count = 1;
	const uint32_t length = STREAM_BYTES_MAX + 1;

	(void)state;
	write_file();
	assert_int_equal(pwrite(file, &count, sizeof(count), COUNT_AT), sizeof(count));
	assert_int_equal(pwrite(file, &length, sizeof(length), LENGTH_AT), sizeof(length));
	assert_int_equal(ftruncate(file, HEADER + SAVED + (off_t)length), 0);
	expect_refused(-EBADMSG);
}

static void test_wiped(void **state)
{
	uint8_t *bytes;

	(void)state;
	write_file();
	assert_int_equal(streams_take_over(&next, file, 0), 0);
	bytes = read_file_whole();
	for (size_t i = 0; i < FILE_SIZE; i++)
		assert_int_equal(bytes[i], 0);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("of nothing nothing is handed over", test_nothing),
		ROW("a half head goes on, with the time it has left", test_half_head),
		ROW("one whose time is over is ended", test_half_head_too_late),
		ROW("what waits for its turn waits on", test_waiting),
		ROW("connections to be ended are ended", test_ends),
		ROW("bytes behind a loss are not judged", test_lost),
		ROW("all that may be kept can be handed over", test_full),
		ROW("a file that is cut short is refused", test_cut_short),
		ROW("a file that says what cannot be is refused", test_damaged),
		ROW("whatever bit is wrong, all comes to an end", test_any_damage),
		ROW("more than may be kept is refused", test_too_much),
		ROW("what was read is wiped", test_wiped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("streams_hand", tests, NULL, NULL);
}
