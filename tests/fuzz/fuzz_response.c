// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The application's answers, one after the other, to requests of GET and to those of HEAD; cuts are
 * drawn from the text. What must hold: see check_*().
 */
#include "response_oracle.h"

static struct marks byte_marks, cut_marks, oracle_marks;

/* Note what an event means, and make ready for the next answer at an end. */
static void note(struct response *response, enum response_event event, size_t at, bool to_head,
		 struct marks *marks)
{
	require((event == RESPONSE_SKIP) == (response->skip > 0));
	if (event != RESPONSE_MORE && event != RESPONSE_UNTIL_CLOSE)
		marks_add(marks, event, at, response->skip);
	if (event == RESPONSE_END)
		response_begin(response, to_head);
}

/* Byte by byte, bodies too. Returns whether the rest belongs to the last answer. */
static bool follow(struct response *response, const uint8_t *bytes, size_t size, bool to_head,
		   struct marks *ret_marks)
{
	enum response_event event = RESPONSE_MORE;
	bool lost = false;

	ret_marks->count = 0;
	response_begin(response, to_head);
	for (size_t at = 0; at < size; at++) {
		if (response->skip) {
			if (--response->skip)
				continue;
			event = response_skipped(response);
		} else {
			event = response_byte(response, bytes[at]);
		}
		note(response, event, at + 1, to_head, ret_marks);
		lost |= event == RESPONSE_UNTIL_CLOSE || event == RESPONSE_SWITCHED;
		require(!lost || event == RESPONSE_UNTIL_CLOSE || event == RESPONSE_SWITCHED);
	}
	return lost;
}

/* A part of answers as a message is followed: bodies in one go, of other bytes several at a time. */
static void follow_part(struct response *response, const uint8_t *bytes, size_t from, size_t to,
			bool to_head, struct marks *marks)
{
	size_t at = from;
	uint32_t taken;

	while (at < to) {
		if (response->skip > to - at) {
			response->skip -= to - at;
			return;
		}
		if (response->skip) {
			at += response->skip;
			note(response, response_skipped(response), at, to_head, marks);
		} else {
			enum response_event event =
				response_bytes(response, bytes + at, bytes + to, &taken);

			at += taken;
			note(response, event, at, to_head, marks);
		}
	}
}

static void check_same(const struct marks *a, const struct marks *b)
{
	require(a->count == b->count);
	for (size_t i = 0; i < a->count; i++) {
		require(a->mark[i].event == b->mark[i].event);
		require(a->mark[i].at == b->mark[i].at);
		require(a->mark[i].skip == b->mark[i].skip);
	}
}

/* However the application's writes are cut, the same is found. */
static void check_cuts(const uint8_t *bytes, size_t size, bool to_head,
		       const struct response *whole)
{
	struct dice dice = dice_of(bytes, size);
	struct response response, moved;

	cut_marks.count = 0;
	response_begin(&response, to_head);
	for (size_t at = 0, part; at < size; at += part) {
		part = 1 + dice_throw(&dice, dice_throw(&dice, 2) ? 12 : size - at);
		part = part < size - at ? part : size - at;
		moved = response;
		memset(&response, 0xff, sizeof(response));
		follow_part(&moved, bytes, at, at + part, to_head, &cut_marks);
		response = moved;
	}
	check_same(&cut_marks, &byte_marks);
	require(!memcmp(&response, whole, sizeof(response)));
}

/* The oracle judges a line as a whole: it may want more of one that is already lost. */
static void check_oracle(const uint8_t *bytes, size_t size, bool to_head, bool lost)
{
	bool oracle_lost = oracle_read_answers(bytes, size, to_head, &oracle_marks);

	require(lost || !oracle_lost);
	check_same(&oracle_marks, &byte_marks);
}

static void check_answers(const uint8_t *bytes, size_t size, bool to_head)
{
	struct response response;
	bool lost = follow(&response, bytes, size, to_head, &byte_marks);

	check_cuts(bytes, size, to_head, &response);
	check_oracle(bytes, size, to_head, lost);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	check_answers(bytes, size, false);
	check_answers(bytes, size, true);
	return 0;
}
