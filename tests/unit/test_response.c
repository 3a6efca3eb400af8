// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The application's answers: where headers go in, and where each ends. */
#include <string.h>

#include "check.h"
#include "../parity/parity.h"
#include "../parity/response_corpus.h"

#define EVENTS_MAX 32

static const char letters[] = {
	[RESPONSE_STATUS] = 'S',      [RESPONSE_SKIP] = 'K',	 [RESPONSE_END] = 'E',
	[RESPONSE_UNTIL_CLOSE] = 'C', [RESPONSE_SWITCHED] = 'W',
};

/* RESPONSE_UNTIL_CLOSE comes with every byte from there on: once is enough. */
static void add_event(char *events, enum response_event event)
{
	size_t length = strlen(events);

	if (event == RESPONSE_UNTIL_CLOSE && length && events[length - 1] == 'C')
		return;
	if (event != RESPONSE_MORE && length < EVENTS_MAX - 1) {
		events[length] = letters[event];
		events[length + 1] = 0;
	}
}

/* Follow bytes one by one; ret_events is EVENTS_MAX long. */
static void follow(struct response *response, const struct response_case *one, size_t from,
		   size_t to, char *ret_events)
{
	for (size_t i = from; i < to; i++)
		add_event(ret_events, parity_follow(response, one->bytes[i], one->to_head));
}

/* Take bytes as the message program does, up to `to`. Returns how many were taken. */
static size_t follow_some(struct response *response, const struct response_case *one, size_t at,
			  size_t to, char *ret_events)
{
	const __u8 *bytes = (const __u8 *)one->bytes;
	enum response_event event;
	__u32 taken;

	event = response_bytes(response, bytes + at, bytes + to, &taken);
	assert_in_range(taken, 1, to - at);
	add_event(ret_events, event);
	if (event == RESPONSE_END)
		response_begin(response, one->to_head);
	return taken;
}

/* Follow bytes, several at once wherever that is offered. */
static void follow_blocks(struct response *response, const struct response_case *one, size_t from,
			  size_t to, char *ret_events)
{
	while (from < to) {
		if (!response->skip) {
			from += follow_some(response, one, from, to, ret_events);
			continue;
		}
		follow(response, one, from, from + 1, ret_events);
		from++;
	}
}

static void check_case(const struct response_case *one)
{
	struct response whole, first, second;
	char events[EVENTS_MAX] = "", cut_events[EVENTS_MAX];

	response_begin(&whole, one->to_head);
	follow(&whole, one, 0, one->size, events);
	if (strcmp(events, one->events))
		fail_msg("%s instead of %s: %s", events, one->events, one->bytes);
	for (size_t cut = 0; cut <= one->size; cut++) {
		cut_events[0] = 0;
		response_begin(&first, one->to_head);
		follow_blocks(&first, one, 0, cut, cut_events);
		follow_blocks(&first, one, cut, one->size, cut_events);
		assert_string_equal(cut_events, one->events);
		assert_memory_equal(&first, &whole, sizeof(whole));
	}
	for (size_t cut = 0; cut <= one->size; cut++) {
		cut_events[0] = 0;
		response_begin(&first, one->to_head);
		follow(&first, one, 0, cut, cut_events);
		second = first;
		follow(&second, one, cut, one->size, cut_events);
		assert_string_equal(cut_events, one->events);
		assert_memory_equal(&second, &whole, sizeof(whole));
	}
}

/* All cases of one promise, which stand together; *state is the first of them. */
static void check_promise(void **state)
{
	const struct response_case *one = *state;
	const char *promise = one->promise;

	for (; one < response_corpus + RESPONSE_CORPUS_SIZE && !strcmp(one->promise, promise);
	     one++)
		check_case(one);
}

static void headers_go_in_right_behind_the_status_line(void **state)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n";
	struct response response;
	size_t at = 0;

	(void)state;
	response_begin(&response, false);
	while (response_byte(&response, text[at++]) == RESPONSE_MORE)
		;
	assert_string_equal(text + at, "X: y\r\n");
}

static void what_is_to_be_skipped_is_named_exactly(void **state)
{
	static const char text[] = OK "Content-Length: 123456789012\r\n\r\n";
	struct response response;

	(void)state;
	response_begin(&response, false);
	for (size_t i = 0; i < sizeof(text) - 2; i++) {
		assert_int_not_equal(response_byte(&response, text[i]), RESPONSE_SKIP);
		assert_int_equal(response.skip, 0);
	}
	assert_int_equal(response_byte(&response, '\n'), RESPONSE_SKIP);
	assert_int_equal(response.skip, 123456789012);
	assert_int_equal(response_skipped(&response), RESPONSE_END);
	assert_int_equal(response.skip, 0);
}

static void nothing_is_taken_for_an_answer_once_the_end_is_unknown(void **state)
{
	static const char next[] = OK "Content-Length: 0\r\n\r\n";
	struct response response;

	(void)state;
	response_begin(&response, false);
	assert_int_equal(response_byte(&response, '?'), RESPONSE_UNTIL_CLOSE);
	for (size_t i = 0; i < sizeof(next) - 1; i++)
		assert_int_equal(response_byte(&response, next[i]), RESPONSE_UNTIL_CLOSE);
	assert_int_equal(response_skipped(&response), RESPONSE_UNTIL_CLOSE);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(headers_go_in_right_behind_the_status_line),
	cmocka_unit_test(what_is_to_be_skipped_is_named_exactly),
	cmocka_unit_test(nothing_is_taken_for_an_answer_once_the_end_is_unknown),
};

#define TESTS (sizeof(tests) / sizeof(*tests))

int main(void)
{
	static struct CMUnitTest all[TESTS + RESPONSE_CORPUS_SIZE];
	size_t count = TESTS;

	memcpy(all, tests, sizeof(tests));
	for (size_t i = 0; i < RESPONSE_CORPUS_SIZE; i++) {
		const struct response_case *one = &response_corpus[i];

		if (i && !strcmp(one->promise, one[-1].promise))
			continue;
		all[count++] =
			(struct CMUnitTest){ one->promise, check_promise, NULL, NULL, (void *)one };
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("response", all, count, NULL, NULL);
}
