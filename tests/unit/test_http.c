// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Request heads: the verdict on each row of the corpus, and what is found in a good head. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "../parity/http_corpus.h"

#define LIMIT 16384

/* Parse up to the end or a verdict; the bytes lie where a read beyond them is caught. */
static enum http_result parse(struct http_head *head, const char *bytes, size_t size)
{
	enum http_result result = HTTP_MORE;

	for (size_t i = 0; i < size && result == HTTP_MORE; i++)
		result = http_head_byte(head, bytes[i]);
	return result;
}

static enum http_result parse_whole(struct http_head *head, const char *bytes, size_t size)
{
	http_head_begin(head, LIMIT);
	return parse(head, bytes, size);
}

/* The verdict with a cut at every offset: the state moves to another place there. */
static void check_cuts(const struct http_case *one, const struct http_head *whole)
{
	for (size_t cut = 0; cut <= whole->length; cut++) {
		struct http_head first, second;
		enum http_result result;

		http_head_begin(&first, LIMIT);
		result = parse(&first, one->bytes, cut);
		second = first;
		memset(&first, 0xff, sizeof(first));
		if (result == HTTP_MORE)
			result = parse(&second, one->bytes + cut, one->size - cut);
		assert_int_equal(result, one->verdict);
		assert_memory_equal(&second, whole, sizeof(second));
	}
}

/*
 * What the parser finds where bytes are taken several at a time: those before the cut, then the rest, each
 * where a read beyond them is caught.
 */
static enum http_result take_cut(struct http_head *head, const char *text, size_t size, size_t cut)
{
	enum http_result result = HTTP_MORE;

	for (size_t from = 0, to = cut; from < size; from = to, to = size) {
		__u8 *bytes = malloc(to);
		const struct http_text there = { bytes, bytes + to };

		assert_non_null(bytes);
		memcpy(bytes, text, to);
		while (result == HTTP_MORE && head->length < to)
			result = http_head_bytes(head, &there);
		free(bytes);
	}
	return result;
}

/* The verdict where bytes are taken several at a time, and are cut at every offset. */
static void check_blocks(const struct http_case *one, const struct http_head *whole)
{
	for (size_t cut = 1; cut <= one->size; cut++) {
		struct http_head head;

		http_head_begin(&head, LIMIT);
		assert_int_equal(take_cut(&head, one->bytes, one->size, cut), one->verdict);
		assert_memory_equal(&head, whole, sizeof(head));
	}
}

static void check_case(const struct http_case *one)
{
	struct http_head head;
	enum http_result result = parse_whole(&head, one->bytes, one->size);

	if (result != one->verdict)
		fail_msg("%d instead of %d after %u bytes of: %s", result, one->verdict,
			 head.length, one->bytes);
	assert_true(head.length <= one->size);
	check_cuts(one, &head);
	check_blocks(one, &head);
	assert_int_equal(http_head_byte(&head, 'a'), HTTP_BAD);
}

/* All cases of one row, which stand together; *state is the first of them. */
static void check_row(void **state)
{
	const struct http_case *one = *state;
	const char *row = one->row;

	for (; one < http_corpus + HTTP_CORPUS_SIZE && !strcmp(one->row, row); one++)
		check_case(one);
}

#define PARSED(head, text)                                                                         \
	assert_int_equal(parse_whole(head, text, sizeof(text) - 1), HTTP_DONE);                    \
	assert_int_equal((head)->length, sizeof(text) - 1)

#define HEAD(fields) LINE HOST fields "\r\n"

static void check_span(const struct http_span *span, const char *bytes, const char *text)
{
	assert_int_equal(span->length, strlen(text));
	assert_memory_equal(bytes + span->at, text, span->length);
}

static void a_head_ends_at_its_last_byte(void **state)
{
	static const char two[] = "\r\n" HEAD("") HEAD("");
	struct http_head head;

	(void)state;
	assert_int_equal(parse_whole(&head, two, sizeof(two) - 1), HTTP_DONE);
	assert_int_equal(head.length, 2 + sizeof(HEAD("")) - 1);
}

static void framing_is_reported(void **state)
{
	struct http_head head;

	(void)state;
	PARSED(&head, HEAD(""));
	assert_int_equal(head.content_length, 0);
	assert_false(head.chunked);
	PARSED(&head, HEAD("Content-Length: 9223372036854775807\r\n"));
	assert_int_equal(head.content_length, 9223372036854775807ULL);
	PARSED(&head, HEAD("Content-Length: 1048576 \r\n"));
	assert_int_equal(head.content_length, 1048576);
	PARSED(&head, HEAD("Transfer-Encoding: chunked\r\n"));
	assert_true(head.chunked);
	PARSED(&head, "HEAD / HTTP/1.1\r\n" HOST "\r\n");
	assert_true(head.is_head_method);
	PARSED(&head, "HEADER / HTTP/1.1\r\n" HOST "\r\n");
	assert_false(head.is_head_method);
	PARSED(&head, "head / HTTP/1.1\r\n" HOST "\r\n");
	assert_false(head.is_head_method);
}

static void persistence_follows_version_and_connection(void **state)
{
	static const struct {
		const char *text;
		bool persistent;
		int minor;
	} cases[] = {
		{ HEAD(""), true, 1 },
		{ HEAD("Connection: close\r\n"), false, 1 },
		{ HEAD("connection: x , CLOSE\r\n"), false, 1 },
		{ HEAD("Connection: keep-alive\r\nConnection: close\r\n"), false, 1 },
		{ HEAD("Connection: closed\r\n"), true, 1 },
		{ HEAD("Proxy-Connection: close\r\n"), true, 1 },
		{ "GET / HTTP/1.0\r\n\r\n", false, 0 },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, 0 },
		{ "GET / HTTP/1.0\r\nConnection: keep_alive\r\n\r\n", false, 0 },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, 0 },
	};
	struct http_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(parse_whole(&head, cases[i].text, strlen(cases[i].text)),
				 HTTP_DONE);
		assert_int_equal(head.persistent, cases[i].persistent);
		assert_int_equal(head.minor, cases[i].minor);
	}
}

static void upgrade_is_reported(void **state)
{
	struct http_head head;

	(void)state;
	PARSED(&head, HEAD("Expect: 100-continue\r\n"));
	assert_false(head.upgrade);
	PARSED(&head, HEAD("Upgrade: websocket\r\n"));
	assert_true(head.upgrade);
	PARSED(&head, "GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n");
	assert_false(head.upgrade);
}

static void the_authorization_line_and_its_token_are_located(void **state)
{
	static const char plain[] = HEAD("X: y\r\n" BEARER "Z: z\r\n");
	static const char odd[] = "\r\n" HEAD("authorization:\t bEARER   " KEY "== \t \r\n");
	struct http_head head;

	(void)state;
	PARSED(&head, plain);
	assert_int_equal(head.credential_kind, CREDENTIAL_BEARER);
	check_span(&head.authorization, plain, "Authorization: Bearer " KEY);
	check_span(&head.credential, plain, KEY);
	PARSED(&head, odd);
	assert_int_equal(head.credential_kind, CREDENTIAL_BEARER);
	check_span(&head.authorization, odd, "authorization:\t bEARER   " KEY "== \t ");
	check_span(&head.credential, odd, KEY "==");
}

static void a_credential_is_none_bearer_or_malformed(void **state)
{
	static const struct {
		const char *value;
		enum http_credential kind;
	} cases[] = {
		{ "", CREDENTIAL_NONE },
		{ "Basic dXNlcjpwYXNz", CREDENTIAL_NONE },
		{ "Bearer", CREDENTIAL_NONE },
		{ "Bearer   ", CREDENTIAL_NONE },
		{ "Bearerx a", CREDENTIAL_NONE },
		{ "Bearer:a", CREDENTIAL_NONE },
		{ "bearer a", CREDENTIAL_BEARER },
		{ "Bearer A-._~+/09==", CREDENTIAL_BEARER },
		{ "Bearer a\t", CREDENTIAL_BEARER },
		{ "Bearer\ta", CREDENTIAL_MALFORMED },
		{ "Bearer \ta", CREDENTIAL_MALFORMED },
		{ "Bearer a!", CREDENTIAL_MALFORMED },
		{ "Bearer a=b", CREDENTIAL_MALFORMED },
		{ "Bearer =", CREDENTIAL_MALFORMED },
		{ "Bearer \"a\"", CREDENTIAL_MALFORMED },
		{ "Bearer a_!=", CREDENTIAL_MALFORMED },
	};
	char text[256];
	struct http_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int size = snprintf(text, sizeof(text), LINE HOST "Authorization: %s\r\n\r\n",
				    cases[i].value);

		assert_int_equal(parse_whole(&head, text, size), HTTP_DONE);
		assert_int_equal(head.credential_kind, cases[i].kind);
		assert_true(head.authorization.length >= strlen("Authorization:"));
		assert_int_equal(!!head.credential.length, cases[i].kind == CREDENTIAL_BEARER);
	}
}

static void a_token_over_512_bytes_is_malformed(void **state)
{
	struct http_head head;
	char text[1024], token[514];

	(void)state;
	for (int length = 511; length <= 513; length++) {
		memset(token, 'a', length);
		token[length] = 0;
		int size = snprintf(text, sizeof(text),
				    LINE HOST "Authorization: Bearer %s\r\n\r\n", token);

		assert_int_equal(parse_whole(&head, text, size), HTTP_DONE);
		assert_int_equal(head.credential_kind,
				 length > 512 ? CREDENTIAL_MALFORMED : CREDENTIAL_BEARER);
		assert_int_equal(head.credential.length, length > 512 ? 0 : length);
	}
}

static void foreign_identities_are_located(void **state)
{
	static const char text[] =
		HEAD("X-Key-Id: key_a\r\nA: b\r\nx_KEY_id:\r\nX-Key.Id: \xff \r\n");
	struct http_head head;

	(void)state;
	PARSED(&head, text);
	assert_int_equal(head.foreign_identities, 3);
	check_span(&head.foreign_identity[0], text, "X-Key-Id: key_a");
	check_span(&head.foreign_identity[1], text, "x_KEY_id:");
	check_span(&head.foreign_identity[2], text, "X-Key.Id: \xff ");
}

/* A good head of exactly `size` bytes, with the key behind everything else. */
static char *head_of_size(size_t size)
{
	static const char start[] = LINE HOST "X: ", end[] = "\r\n" BEARER "\r\n";
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, 'a', size);
	memcpy(text, start, sizeof(start) - 1);
	memcpy(text + size - (sizeof(end) - 1), end, sizeof(end) - 1);
	return text;
}

static void a_head_of_16_kib_passes_and_a_byte_more_is_too_large(void **state)
{
	struct http_head head;
	char *text;

	(void)state;
	text = head_of_size(LIMIT);
	assert_int_equal(parse_whole(&head, text, LIMIT), HTTP_DONE);
	check_span(&head.credential, text, KEY);
	assert_int_equal(parse_whole(&head, text, LIMIT - 1), HTTP_MORE);
	free(text);
	text = head_of_size(LIMIT + 1);
	assert_int_equal(parse_whole(&head, text, LIMIT + 1), HTTP_TOO_LARGE);
	assert_int_equal(head.length, LIMIT);
	assert_int_equal(http_head_byte(&head, 'a'), HTTP_TOO_LARGE);
	free(text);
}

static void the_empty_line_before_a_head_is_not_counted(void **state)
{
	struct http_head head;
	char *text = head_of_size(LIMIT);

	(void)state;
	http_head_begin(&head, LIMIT);
	assert_int_equal(parse(&head, "\r\n", 2), HTTP_MORE);
	assert_int_equal(parse(&head, text, LIMIT), HTTP_DONE);
	free(text);
}

static void a_hundred_fields_pass_and_one_more_is_too_large(void **state)
{
	struct http_head head;

	(void)state;
	for (int fields = 99; fields <= 101; fields++) {
		enum http_result result;

		http_head_begin(&head, LIMIT);
		assert_int_equal(parse(&head, LINE HOST, strlen(LINE HOST)), HTTP_MORE);
		result = HTTP_MORE;
		for (int i = 1; i < fields && result == HTTP_MORE; i++)
			result = parse(&head, "A: b\r\n", 6);
		if (result == HTTP_MORE)
			result = parse(&head, "\r\n", 2);
		assert_int_equal(result, fields > 100 ? HTTP_TOO_LARGE : HTTP_DONE);
	}
}

static void an_authority_over_128_bytes_is_bad(void **state)
{
	char name[130], text[512];
	struct http_head head;

	(void)state;
	for (int length = 127; length <= 129; length++) {
		memset(name, 'a', length);
		name[length] = 0;
		int size = snprintf(text, sizeof(text),
				    "GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", name, name);

		assert_int_equal(parse_whole(&head, text, size),
				 length > 128 ? HTTP_BAD : HTTP_DONE);
	}
}

static void a_host_of_any_length_passes_in_origin_form(void **state)
{
	char name[600], text[1024];
	struct http_head head;

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = 0;
	int size = snprintf(text, sizeof(text), LINE "Host: %s\r\n\r\n", name);

	assert_int_equal(parse_whole(&head, text, size), HTTP_DONE);
}

/* Every byte at every place of a good head: whatever passes still frames the same. */
static void no_single_byte_moves_the_end_of_a_head(void **state)
{
	static const char good[] = HEAD("Content-Length: 5\r\n" BEARER "X: y\r\n");
	struct http_head head;
	char text[sizeof(good)];

	(void)state;
	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			memcpy(text, good, sizeof(good));
			text[at] = byte;
			if (parse_whole(&head, text, sizeof(text) - 1) == HTTP_DONE)
				assert_int_equal(head.length, sizeof(good) - 1);
		}
	}
}

static void check_taken(const char *text, size_t size, __u32 limit, size_t cut)
{
	struct http_head one_by_one, several;
	enum http_result result;

	http_head_begin(&one_by_one, limit);
	result = parse(&one_by_one, text, size);
	http_head_begin(&several, limit);
	if (take_cut(&several, text, size, cut) != result ||
	    memcmp(&several, &one_by_one, sizeof(several)))
		fail_msg("limit %u, cut at %zu: %s", limit, cut, text);
}

#define LONG_VALUE "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"

static void bytes_taken_several_at_a_time_are_read_alike(void **state)
{
	static const char *const heads[] = {
		"GET /api/v1/models?limit=20 HTTP/1.1\r\nHost: api.example.com:8080\r\n"
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n" BEARER
		"Connection: keep-alive\r\nCache-Control: no-cache\r\n\r\n",
		HEAD("x_y: 1\r\nContent-Length: 5\r\n"),
		HEAD("Connection: close, keep-alive\r\n"),
		HEAD("Connection: keep-alive\r\nConnection: keep-alive\r\n"),
		HEAD("Authorization: x Bearer " KEY "\r\n"),
		HEAD("authorization:\tBEARER " KEY "\r\n"),
		HEAD("A234567: 8\r\nA2345678: 9\r\nA23456789012345: 6\r\n"
		     "A234567890123456: 7\r\nA2345678901234567890123: 4\r\n"
		     "A23456789012345678901234: 5\r\n"),
		HEAD("X: " LONG_VALUE "\r\nY:" LONG_VALUE "\x7f\r\n"),
		"\r\nOPTIONS /" LONG_VALUE " HTTP/1.0\r\nX-Key-Id: " LONG_VALUE "\r\n\r\n",
		"CONNECT /" LONG_VALUE " HTTP/1.1\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		size_t size = strlen(heads[i]);

		for (size_t at = 1; at <= size; at++) {
			check_taken(heads[i], size, LIMIT, at);
			check_taken(heads[i], size, at, size);
		}
	}
}

static void fields_taken_several_bytes_at_a_time_are_counted(void **state)
{
	char text[8192] = LINE HOST;

	(void)state;
	for (int fields = 2; fields <= 102; fields++) {
		size_t size = strlen(text);

		check_taken(text, size, LIMIT, size);
		snprintf(text + size, sizeof(text) - size, "Abc: 0123456789abcdefghijklm\r\n");
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(bytes_taken_several_at_a_time_are_read_alike),
	cmocka_unit_test(fields_taken_several_bytes_at_a_time_are_counted),
	cmocka_unit_test(a_head_ends_at_its_last_byte),
	cmocka_unit_test(framing_is_reported),
	cmocka_unit_test(persistence_follows_version_and_connection),
	cmocka_unit_test(upgrade_is_reported),
	cmocka_unit_test(the_authorization_line_and_its_token_are_located),
	cmocka_unit_test(a_credential_is_none_bearer_or_malformed),
	cmocka_unit_test(a_token_over_512_bytes_is_malformed),
	cmocka_unit_test(foreign_identities_are_located),
	cmocka_unit_test(a_head_of_16_kib_passes_and_a_byte_more_is_too_large),
	cmocka_unit_test(the_empty_line_before_a_head_is_not_counted),
	cmocka_unit_test(a_hundred_fields_pass_and_one_more_is_too_large),
	cmocka_unit_test(an_authority_over_128_bytes_is_bad),
	cmocka_unit_test(a_host_of_any_length_passes_in_origin_form),
	cmocka_unit_test(no_single_byte_moves_the_end_of_a_head),
};

#define TESTS (sizeof(tests) / sizeof(*tests))

int main(void)
{
	static struct CMUnitTest all[TESTS + HTTP_CORPUS_SIZE];
	size_t count = TESTS;

	memcpy(all, tests, sizeof(tests));
	for (size_t i = 0; i < HTTP_CORPUS_SIZE; i++) {
		const struct http_case *one = &http_corpus[i];

		if (i && !strcmp(one->row, one[-1].row))
			continue;
		all[count++] = (struct CMUnitTest){ one->row, check_row, NULL, NULL, (void *)one };
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("http", all, count, NULL, NULL);
}
