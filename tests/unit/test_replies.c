// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The gate's own answers, each read the way a client reads it. */
#include "replies.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "reply.h"
#include "util.h"

/* What the contract says of each answer. */
static const struct {
	const char *status_line;
	const char *code;
	const char *text;
	const char *challenge;
} expected[REPLY_COUNT] = {
	[REPLY_NO_KEY] = { "HTTP/1.1 401 Unauthorized", "UNAUTHORIZED",
			   "Invalid or expired API key.", "Bearer realm=\"api\"" },
	[REPLY_INVALID_KEY] = { "HTTP/1.1 401 Unauthorized", "UNAUTHORIZED",
				"Invalid or expired API key.",
				"Bearer realm=\"api\", error=\"invalid_token\"" },
	[REPLY_RATE_LIMITED] = { "HTTP/1.1 429 Too Many Requests", "RATE_LIMITED",
				 "Rate limit exceeded. Please try again later.", NULL },
	[REPLY_BAD_REQUEST] = { "HTTP/1.1 400 Bad Request", "BAD_REQUEST", "Bad request.", NULL },
	[REPLY_EXPECTATION] = { "HTTP/1.1 417 Expectation Failed", "EXPECTATION_FAILED",
				"The Expect header is not supported.", NULL },
	[REPLY_HEAD_TOO_LARGE] = { "HTTP/1.1 431 Request Header Fields Too Large",
				   "HEADERS_TOO_LARGE", "Request headers are too large.", NULL },
	[REPLY_VERSION] = { "HTTP/1.1 505 HTTP Version Not Supported", "VERSION_NOT_SUPPORTED",
			    "HTTP version not supported.", NULL },
};

static const char *const connection_values[REPLY_CONNECTIONS] = { NULL, "keep-alive", "close" };

static struct reply_template render(int reply, int connection)
{
	struct reply_template template;

	assert_int_equal(reply_render(reply, connection, &template), 0);
	return template;
}

/* The value of a header, without white space around it, or NULL; freed by the caller. */
static char *header(const struct reply_template *template, const char *name)
{
	_cleanup_free_ char *head = strndup((const char *)template->bytes, template->head_length);
	char wanted[64], *value, *found;
	size_t length;

	snprintf(wanted, sizeof(wanted), "\r\n%s:", name);
	found = strstr(head, wanted);
	if (!found)
		return NULL;
	assert_null(strstr(found + 1, wanted));
	value = found + strlen(wanted);
	value += strspn(value, " ");
	length = strcspn(value, "\r");
	return strndup(value, length);
}

static void check_header(const struct reply_template *template, const char *name, const char *value)
{
	_cleanup_free_ char *found = header(template, name);

	if (value) {
		assert_non_null(found);
		assert_string_equal(found, value);
	} else {
		assert_null(found);
	}
}

static void check_head(int reply, int connection)
{
	struct reply_template template = render(reply, connection);
	size_t line_length = strlen(expected[reply].status_line);
	char length[16];

	assert_true(template.length <= REPLY_SIZE);
	assert_memory_equal(template.bytes, expected[reply].status_line, line_length);
	assert_memory_equal(template.bytes + line_length, "\r\n", 2);
	assert_memory_equal(template.bytes + template.head_length - 4, "\r\n\r\n", 4);
	assert_ptr_equal(memmem(template.bytes, template.length, "\r\n\r\n", 4),
			 template.bytes + template.head_length - 4);

	snprintf(length, sizeof(length), "%d", template.length - template.head_length);
	check_header(&template, "Content-Length", length);
	check_header(&template, "Content-Type", "application/json");
	check_header(&template, "WWW-Authenticate", expected[reply].challenge);
	check_header(&template, "Connection", connection_values[connection]);
	check_header(&template, "X-RateLimit-Remaining", reply == REPLY_RATE_LIMITED ? "0" : NULL);
}

static void every_answer_has_the_head_of_the_contract(void **state)
{
	(void)state;
	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		for (int connection = 0; connection < REPLY_CONNECTIONS; connection++)
			check_head(reply, connection);
	}
}

static void check_body(int reply, int connection)
{
	static const char *const order[] = { "error", "message", "code", "traceId" };
	struct reply_template template = render(reply, connection);
	json_t *body =
		json_loadb((const char *)template.bytes + template.head_length,
			   template.length - template.head_length, JSON_REJECT_DUPLICATES, NULL);
	const char *name, *trace_id;
	json_t *value;
	size_t place = 0;

	assert_non_null(body);
	assert_int_equal(json_object_size(body), ARRAY_SIZE(order));
	json_object_foreach(body, name, value) assert_string_equal(name, order[place++]);
	assert_string_equal(json_string_value(json_object_get(body, "error")),
			    expected[reply].text);
	assert_string_equal(json_string_value(json_object_get(body, "message")),
			    expected[reply].text);
	assert_string_equal(json_string_value(json_object_get(body, "code")), expected[reply].code);
	trace_id = json_string_value(json_object_get(body, "traceId"));
	assert_memory_equal(trace_id, "req_", 4);
	assert_int_equal(strlen(trace_id), 4 + TRACE_ID_SIZE);
	json_decref(body);
}

static void every_body_is_json_with_its_four_members_in_order(void **state)
{
	(void)state;
	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		for (int connection = 0; connection < REPLY_CONNECTIONS; connection++)
			check_body(reply, connection);
	}
}

static void the_trace_id_goes_where_its_place_is(void **state)
{
	(void)state;
	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		struct reply_template template = render(reply, REPLY_IMPLICIT);
		static const char tail[] = "\"traceId\":\"req_abcdefghijklmnopqrstuvwx\"}";

		memcpy(template.bytes + template.trace_id_at, "abcdefghijklmnopqrstuvwx",
		       TRACE_ID_SIZE);
		assert_memory_equal(template.bytes + template.length - strlen(tail), tail,
				    strlen(tail));
	}
}

static void the_numbers_of_a_429_go_where_their_places_are(void **state)
{
	(void)state;
	for (int connection = 0; connection < REPLY_CONNECTIONS; connection++) {
		struct reply_template template = render(REPLY_RATE_LIMITED, connection);

		memcpy(template.bytes + template.retry_after_at, "   42", REPLY_RETRY_AFTER_WIDTH);
		memcpy(template.bytes + template.reset_at, "1767323045678", REPLY_RESET_WIDTH);
		check_header(&template, "Retry-After", "42");
		check_header(&template, "X-RateLimit-Reset", "1767323045678");

		memcpy(template.bytes + template.retry_after_at, "86400", REPLY_RETRY_AFTER_WIDTH);
		check_header(&template, "Retry-After", "86400");
	}
}

static void numbers_stand_right_aligned_behind_spaces(void **state)
{
	uint8_t written[REPLY_RETRY_AFTER_WIDTH];
	char text[16];

	(void)state;
	for (uint32_t value = 0; value <= REPLY_RETRY_AFTER_MAX; value++) {
		reply_put_number(written, sizeof(written), value, ' ');
		snprintf(text, sizeof(text), "%5u", value);
		assert_memory_equal(written, text, sizeof(written));
	}
}

static void check_reset(uint64_t reset_ms)
{
	uint8_t written[REPLY_RESET_WIDTH];
	char text[32];

	reply_put_reset(written, reset_ms);
	snprintf(text, sizeof(text), "%13" PRIu64, reset_ms);
	assert_memory_equal(written, text, sizeof(written));
}

static void a_reset_of_any_time_stands_right_aligned_behind_spaces(void **state)
{
	(void)state;
	for (uint64_t power = 1; power < UINT64_C(10000000000000); power *= 10) {
		check_reset(power - 1);
		check_reset(power);
	}
	for (uint64_t minute = 1; minute <= UINT32_MAX; minute += 12345)
		if (minute * LIMIT_MINUTE_MS < UINT64_C(10000000000000))
			check_reset(minute * LIMIT_MINUTE_MS);
}

static void other_answers_have_no_places_for_numbers(void **state)
{
	(void)state;
	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		struct reply_template template = render(reply, REPLY_CLOSE);

		if (reply == REPLY_RATE_LIMITED)
			continue;
		assert_int_equal(template.retry_after_at, 0);
		assert_int_equal(template.reset_at, 0);
		check_header(&template, "Retry-After", NULL);
		check_header(&template, "X-RateLimit-Reset", NULL);
	}
}

static void an_answer_that_is_not_there_is_not_rendered(void **state)
{
	struct reply_template template;

	(void)state;
	assert_int_equal(reply_render(REPLY_COUNT, REPLY_CLOSE, &template), -EINVAL);
	assert_int_equal(reply_render(REPLY_NO_KEY, REPLY_CONNECTIONS, &template), -EINVAL);
}

static size_t write_reply(const struct replies *replies, int reply, bool head_only,
			  uint32_t reset_minute, uint64_t now_ms,
			  struct reply_template *ret_written)
{
	const struct owed owed = { reply * REPLY_CONNECTIONS + REPLY_IMPLICIT, head_only,
				   reset_minute };
	size_t length = replies_write(replies, &owed, now_ms, ret_written->bytes);

	ret_written->head_length = render(reply, REPLY_IMPLICIT).head_length;
	return length;
}

static void what_is_written_differs_from_the_template_in_its_places(void **state)
{
	struct reply_template template, written, again;
	struct replies replies;

	(void)state;
	assert_int_equal(replies_render(&replies), 0);
	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		template = render(reply, REPLY_IMPLICIT);
		assert_int_equal(write_reply(&replies, reply, true, 0, 0, &written),
				 template.head_length);
		assert_int_equal(write_reply(&replies, reply, false, 7, 1000, &written),
				 template.length);
		write_reply(&replies, reply, false, 7, 1000, &again);
		assert_memory_not_equal(written.bytes + template.trace_id_at,
					again.bytes + template.trace_id_at, TRACE_ID_SIZE);
		for (int i = 0; i < TRACE_ID_SIZE; i++) {
			char c = written.bytes[template.trace_id_at + i];

			assert_true((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
		}
		if (reply == REPLY_RATE_LIMITED) {
			check_header(&written, "Retry-After", "419");
			check_header(&written, "X-RateLimit-Reset", "420000");
			continue;
		}
		memcpy(written.bytes + template.trace_id_at, template.bytes + template.trace_id_at,
		       TRACE_ID_SIZE);
		assert_memory_equal(written.bytes, template.bytes, template.length);
	}
}

static void retry_after_is_a_second_at_least_and_fits_its_place(void **state)
{
	static const struct {
		uint64_t now_ms;
		const char *expected;
	} cases[] = {
		{ 599001, "1" }, { 599000, "1" }, { 598999, "2" },
		{ 0, "600" },	 { 600000, "1" }, { 700000, "1" },
	};
	struct reply_template written;
	struct replies replies;

	(void)state;
	assert_int_equal(replies_render(&replies), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_reply(&replies, REPLY_RATE_LIMITED, false, 10, cases[i].now_ms, &written);
		check_header(&written, "Retry-After", cases[i].expected);
	}
	write_reply(&replies, REPLY_RATE_LIMITED, false, 30000000, 0, &written);
	check_header(&written, "Retry-After", "99999");
	check_header(&written, "X-RateLimit-Reset", "1800000000000");
}

static void an_answer_that_is_not_there_is_not_written(void **state)
{
	const struct owed owed = { .reply = REPLY_COUNT * REPLY_CONNECTIONS };
	uint8_t bytes[REPLY_SIZE];
	struct replies replies;

	(void)state;
	assert_int_equal(replies_render(&replies), 0);
	assert_int_equal(replies_write(&replies, &owed, 0, bytes), 0);
}

/* The kernel side's place for answers. */
static int puts_until_failure;
static bool was_put[REPLY_COUNT][REPLY_CONNECTIONS];

int kernel_put_reply(struct kernel *kernel, enum reply reply, enum reply_connection connection,
		     const struct reply_template *template)
{
	(void)kernel;
	if (puts_until_failure-- == 0)
		return -EIO;
	assert_true(template->length > 0);
	was_put[reply][connection] = true;
	return 0;
}

static void all_answers_are_put(void **state)
{
	(void)state;
	memset(was_put, 0, sizeof(was_put));
	puts_until_failure = -1;
	assert_int_equal(replies_put(NULL), 0);
	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		for (int connection = 0; connection < REPLY_CONNECTIONS; connection++)
			assert_true(was_put[reply][connection]);
	}
}

static void an_answer_that_cannot_be_put_is_reported(void **state)
{
	(void)state;
	puts_until_failure = 5;
	assert_int_equal(replies_put(NULL), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_has_the_head_of_the_contract),
		cmocka_unit_test(every_body_is_json_with_its_four_members_in_order),
		cmocka_unit_test(the_trace_id_goes_where_its_place_is),
		cmocka_unit_test(the_numbers_of_a_429_go_where_their_places_are),
		cmocka_unit_test(numbers_stand_right_aligned_behind_spaces),
		cmocka_unit_test(a_reset_of_any_time_stands_right_aligned_behind_spaces),
		cmocka_unit_test(other_answers_have_no_places_for_numbers),
		cmocka_unit_test(an_answer_that_is_not_there_is_not_rendered),
		cmocka_unit_test(what_is_written_differs_from_the_template_in_its_places),
		cmocka_unit_test(retry_after_is_a_second_at_least_and_fits_its_place),
		cmocka_unit_test(an_answer_that_is_not_there_is_not_written),
		cmocka_unit_test(all_answers_are_put),
		cmocka_unit_test(an_answer_that_cannot_be_put_is_reported),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
