// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Chunked bodies: the verdict on each row of the corpus, however the bytes are cut. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "../parity/chunk_corpus.h"
#include "../parity/parity.h"

/* Follow bytes up to the end or a verdict. Returns the last event; *ret_taken counts the bytes. */
static enum chunk_event follow(struct chunk *chunk, const char *bytes, size_t size,
			       size_t *ret_taken)
{
	enum chunk_event event = CHUNK_MORE;
	size_t taken = 0;

	while (taken < size && event != CHUNK_END && event != CHUNK_BAD)
		event = parity_chunk_byte(chunk, bytes[taken++]);
	*ret_taken = taken;
	return event;
}

/* The same, with data passed over as far as it reaches. */
static enum chunk_event follow_skipping(struct chunk *chunk, const char *bytes, size_t size)
{
	enum chunk_event event = CHUNK_MORE;
	size_t at = 0;

	while (at < size && event != CHUNK_END && event != CHUNK_BAD) {
		event = chunk_byte(chunk, bytes[at++]);
		if (event != CHUNK_SKIP) {
			assert_int_equal(chunk->skip, 0);
			continue;
		}
		assert_true(chunk->skip > 0);
		if (chunk->skip > size - at) {
			chunk->skip -= size - at;
			return CHUNK_MORE;
		}
		at += chunk->skip;
		event = chunk_skipped(chunk);
	}
	return event;
}

static enum chunk_event without_skip(enum chunk_event event)
{
	return event == CHUNK_SKIP ? CHUNK_MORE : event;
}

static void check_cuts(const struct chunk_case *one, const struct chunk *whole)
{
	for (size_t cut = 0; cut <= one->size; cut++) {
		struct chunk first, second;
		enum chunk_event event;
		size_t taken;

		chunk_begin(&first, one->trailers);
		event = follow(&first, one->bytes, cut, &taken);
		second = first;
		memset(&first, 0xff, sizeof(first));
		if (taken < one->size)
			event = follow(&second, one->bytes + cut, one->size - cut, &taken);
		assert_int_equal(without_skip(event), one->verdict);
		assert_memory_equal(&second, whole, sizeof(second));
	}
}

static void check_case(const struct chunk_case *one)
{
	struct chunk chunk, skipping;
	enum chunk_event event;
	size_t taken;

	chunk_begin(&chunk, one->trailers);
	event = without_skip(follow(&chunk, one->bytes, one->size, &taken));
	if (event != one->verdict || taken != one->size)
		fail_msg("%d instead of %d after %zu of %zu bytes of: %s", event, one->verdict,
			 taken, one->size, one->bytes);
	check_cuts(one, &chunk);
	chunk_begin(&skipping, one->trailers);
	assert_int_equal(follow_skipping(&skipping, one->bytes, one->size), one->verdict);
	assert_memory_equal(&skipping, &chunk, sizeof(chunk));
	if (event != CHUNK_MORE)
		assert_int_equal(chunk_byte(&chunk, '0'), CHUNK_BAD);
}

/* All cases of one row, which stand together; *state is the first of them. */
static void check_row(void **state)
{
	const struct chunk_case *one = *state;
	const char *row = one->row;

	for (; one < chunk_corpus + CHUNK_CORPUS_SIZE && !strcmp(one->row, row); one++)
		check_case(one);
}

static void what_is_to_be_skipped_is_named_exactly(void **state)
{
	static const char text[] = "7fffffffffffffff;a=b\r";
	struct chunk chunk;
	size_t taken;

	(void)state;
	chunk_begin(&chunk, false);
	assert_int_equal(follow(&chunk, text, sizeof(text) - 1, &taken), CHUNK_MORE);
	assert_int_equal(chunk.skip, 0);
	assert_int_equal(chunk_byte(&chunk, '\n'), CHUNK_SKIP);
	assert_int_equal(chunk.skip, 0x7fffffffffffffff);
	assert_int_equal(chunk_skipped(&chunk), CHUNK_MORE);
	assert_int_equal(chunk.skip, 0);
	assert_int_equal(follow(&chunk, "\r\n" LAST, 7, &taken), CHUNK_END);
}

static void what_stands_where_data_was_to_be_skipped_is_bad(void **state)
{
	struct chunk chunk;
	size_t taken;

	(void)state;
	chunk_begin(&chunk, false);
	assert_int_equal(follow(&chunk, "5\r\n", 3, &taken), CHUNK_SKIP);
	assert_int_equal(chunk_byte(&chunk, 'h'), CHUNK_BAD);
	chunk_begin(&chunk, false);
	assert_int_equal(chunk_skipped(&chunk), CHUNK_BAD);
}

static void nothing_follows_the_end_of_a_body(void **state)
{
	struct chunk chunk;
	size_t taken;

	(void)state;
	chunk_begin(&chunk, false);
	assert_int_equal(follow(&chunk, LAST LAST, 10, &taken), CHUNK_END);
	assert_int_equal(taken, 5);
	for (int byte = 0; byte < 256; byte++)
		assert_int_equal(chunk_byte(&chunk, byte), CHUNK_BAD);
}

static void a_hundred_trailers_pass_and_one_more_is_bad(void **state)
{
	struct chunk chunk;
	size_t taken;

	(void)state;
	chunk_begin(&chunk, true);
	assert_int_equal(follow(&chunk, "0\r\n", 3, &taken), CHUNK_MORE);
	for (int i = 0; i < CHUNK_FIELDS_MAX; i++)
		assert_int_equal(follow(&chunk, "X:\r\n", 4, &taken), CHUNK_MORE);
	assert_int_equal(chunk_byte(&chunk, 'X'), CHUNK_BAD);
}

static void trailers_of_4096_bytes_pass_and_a_byte_more_is_bad(void **state)
{
	enum chunk_event events[2];
	char *lines = malloc(CHUNK_TRAILERS_MAX + 1);

	(void)state;
	assert_non_null(lines);
	for (int more = 0; more < 2; more++) {
		size_t size = CHUNK_TRAILERS_MAX + more, taken;
		struct chunk chunk;

		memset(lines, 'a', size);
		memcpy(lines, "X:", 2);
		memcpy(lines + size - 2, "\r\n", 2);
		chunk_begin(&chunk, true);
		follow(&chunk, "0\r\n", 3, &taken);
		events[more] = follow(&chunk, lines, size, &taken);
		if (!more)
			assert_int_equal(follow(&chunk, "\r\n", 2, &taken), CHUNK_END);
	}
	free(lines);
	assert_int_equal(events[0], CHUNK_MORE);
	assert_int_equal(events[1], CHUNK_BAD);
}

/* Every byte at every place outside data: whatever passes ends where the good body does. */
static void no_single_byte_moves_the_end_of_a_body(void **state)
{
	static const char good[] = "1;a=\"b\"\r\nx\r\n0\r\n\r\n";
	char text[sizeof(good)];

	(void)state;
	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			struct chunk chunk;
			size_t taken;

			memcpy(text, good, sizeof(good));
			text[at] = byte;
			chunk_begin(&chunk, false);
			if (follow(&chunk, text, sizeof(text) - 1, &taken) == CHUNK_END)
				assert_int_equal(taken, sizeof(good) - 1);
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_to_be_skipped_is_named_exactly),
	cmocka_unit_test(what_stands_where_data_was_to_be_skipped_is_bad),
	cmocka_unit_test(nothing_follows_the_end_of_a_body),
	cmocka_unit_test(a_hundred_trailers_pass_and_one_more_is_bad),
	cmocka_unit_test(trailers_of_4096_bytes_pass_and_a_byte_more_is_bad),
	cmocka_unit_test(no_single_byte_moves_the_end_of_a_body),
};

#define TESTS (sizeof(tests) / sizeof(*tests))

int main(void)
{
	static struct CMUnitTest all[TESTS + CHUNK_CORPUS_SIZE];
	size_t count = TESTS;

	memcpy(all, tests, sizeof(tests));
	for (size_t i = 0; i < CHUNK_CORPUS_SIZE; i++) {
		const struct chunk_case *one = &chunk_corpus[i];

		if (i && !strcmp(one->row, one[-1].row))
			continue;
		all[count++] = (struct CMUnitTest){ one->row, check_row, NULL, NULL, (void *)one };
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("chunk", all, count, NULL, NULL);
}
