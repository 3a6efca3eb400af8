// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Heads, answers and chunked bodies through both builds of their parsers: the tables, what fuzzing
 * has brought up, and random changes of the tables.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "chunk_corpus.h"
#include "http_corpus.h"
#include "kernel_side.h"
#include "mutate.h"
#include "response_corpus.h"

#define LIMIT	   16384 /* of a head, bytes */
#define MUTATIONS  10000
#define FUZZED_MAX 4352 /* bytes of a text */

static void show(const char *what, const void *bytes, size_t size)
{
	print_message("# %s differs for:", what);
	for (size_t i = 0; i < size; i++)
		print_message(" %02x", ((const unsigned char *)bytes)[i]);
	print_message("\n");
}

static enum http_result parse(struct http_head *head, __u32 limit, const __u8 *bytes, size_t size)
{
	enum http_result result = HTTP_MORE;

	http_head_begin(head, limit);
	for (size_t i = 0; i < size && result == HTTP_MORE; i++)
		result = http_head_byte(head, bytes[i]);
	return result;
}

/* The head from a variable, byte by byte, and from the packet in place. */
static void compare_head(const __u8 *bytes, size_t size)
{
	__u8 packet[PACKET_MAX] = { 0 };
	struct http_head head;
	enum http_result result = parse(&head, inside->input.limit, bytes, size);

	memcpy(inside->input.bytes, bytes, size);
	inside->input.length = size;
	if (run(kernel->progs.parity_head) != (int)result ||
	    memcmp(&head, &inside->head, sizeof(head))) {
		show("a head", bytes, size);
		fail();
	}
	if (size > PACKET_MAX)
		return;
	memcpy(packet, bytes, size);
	size = size < PACKET_MIN ? PACKET_MIN : size;
	result = parse(&head, inside->input.limit, packet, size);
	if (run_on(kernel->progs.parity_packet, packet, size) != (int)result ||
	    memcmp(&head, &inside->head, sizeof(head))) {
		show("a head in a packet", packet, size);
		fail();
	}
}

static void heads_of_the_corpus_are_read_alike(void **state)
{
	(void)state;
	inside->input.limit = LIMIT;
	for (size_t i = 0; i < HTTP_CORPUS_SIZE; i++)
		compare_head((const __u8 *)http_corpus[i].bytes, http_corpus[i].size);
}

static void heads_cut_anywhere_are_read_alike(void **state)
{
	static const char text[] = LINE HOST BEARER "Content-Length: 17\r\nX-Key-Id: a\r\n\r\nbody";

	(void)state;
	inside->input.limit = LIMIT;
	for (size_t size = 0; size < sizeof(text); size++)
		compare_head((const __u8 *)text, size);
}

static void heads_about_their_limit_are_read_alike(void **state)
{
	static const char text[] = "\r\n" LINE HOST BEARER "X: y\r\n\r\n";
	__u8 large[LIMIT + 4];

	(void)state;
	for (__u32 limit = 0; limit < sizeof(text) + 2; limit++) {
		inside->input.limit = limit;
		compare_head((const __u8 *)text, sizeof(text) - 1);
	}
	inside->input.limit = LIMIT;
	for (size_t size = LIMIT - 2; size <= sizeof(large); size++) {
		memset(large, 'a', size);
		memcpy(large, LINE HOST "X: ", sizeof(LINE HOST "X: ") - 1);
		memcpy(large + size - 4, "\r\n\r\n", 4);
		compare_head(large, size);
	}
}

static void heads_of_many_fields_are_read_alike(void **state)
{
	static const char line[] = "A: b\r\n";
	__u8 text[PACKET_MAX];
	size_t start = sizeof(LINE HOST) - 1, size;

	(void)state;
	inside->input.limit = LIMIT;
	memcpy(text, LINE HOST, start);
	for (int fields = 98; fields <= 102; fields++) {
		size = start;
		for (int i = 1; i < fields; i++, size += sizeof(line) - 1)
			memcpy(text + size, line, sizeof(line) - 1);
		memcpy(text + size, "\r\n", 2);
		compare_head(text, size + 2);
	}
}

static void heads_changed_at_random_are_read_alike(void **state)
{
	struct mutator mutator = { SEED };
	__u8 text[1024];

	(void)state;
	inside->input.limit = LIMIT;
	for (int i = 0; i < MUTATIONS; i++) {
		const struct http_case *one =
			&http_corpus[mutator_draw(&mutator, HTTP_CORPUS_SIZE)];
		const struct http_case *other =
			&http_corpus[mutator_draw(&mutator, HTTP_CORPUS_SIZE)];
		size_t size = one->size;

		memcpy(text, one->bytes, size);
		for (__u32 changes = 1 + mutator_draw(&mutator, 4); changes; changes--)
			size = mutate(&mutator, text, size, sizeof(text), other->bytes,
				      other->size);
		compare_head(text, size);
	}
}

static void compare_response(const __u8 *bytes, size_t size, bool to_head)
{
	struct response response;
	__u8 events[FUZZED_MAX];

	response_begin(&response, to_head);
	for (size_t i = 0; i < size; i++)
		events[i] = parity_follow(&response, bytes[i], to_head);
	memcpy(inside->input.bytes, bytes, size);
	inside->input.length = size;
	inside->input.to_head = to_head;
	run(kernel->progs.parity_response);
	if (memcmp(events, inside->events, size) ||
	    memcmp(&response, &inside->response, sizeof(response))) {
		show("an answer", bytes, size);
		fail();
	}
}

static void answers_of_the_corpus_are_followed_alike(void **state)
{
	(void)state;
	for (size_t i = 0; i < RESPONSE_CORPUS_SIZE; i++)
		compare_response((const __u8 *)response_corpus[i].bytes, response_corpus[i].size,
				 response_corpus[i].to_head);
}

static void answers_changed_at_random_are_followed_alike(void **state)
{
	struct mutator mutator = { SEED };
	__u8 text[1024];

	(void)state;
	for (int i = 0; i < MUTATIONS; i++) {
		const struct response_case *one =
			&response_corpus[mutator_draw(&mutator, RESPONSE_CORPUS_SIZE)];
		const struct response_case *other =
			&response_corpus[mutator_draw(&mutator, RESPONSE_CORPUS_SIZE)];
		size_t size = one->size;

		memcpy(text, one->bytes, size);
		for (__u32 changes = 1 + mutator_draw(&mutator, 3); changes; changes--)
			size = mutate(&mutator, text, size, sizeof(text), other->bytes,
				      other->size);
		compare_response(text, size, one->to_head);
	}
}

/* What scan_chunks() is to find: a verdict, and where it fell. */
static int scan(struct chunk *chunk, const __u8 *bytes, size_t size, __u32 *ret_end)
{
	enum chunk_event event = CHUNK_MORE;
	size_t taken = 0;

	while (taken < size && event != CHUNK_END && event != CHUNK_BAD)
		event = parity_chunk_byte(chunk, bytes[taken++]);
	*ret_end = taken;
	return event == CHUNK_END ? SCAN_END : event == CHUNK_BAD ? SCAN_BAD : SCAN_MORE;
}

/* More of the body that `chunk` stands in, in a packet behind `before` bytes of something else. */
static void compare_scan(struct chunk chunk, const __u8 *bytes, size_t size, __u32 before)
{
	__u8 packet[PACKET_MAX] = { 0 };
	__u32 end;
	int result;

	if (before + size > PACKET_MAX)
		return;
	memcpy(packet + before, bytes, size);
	size = before + size < PACKET_MIN ? PACKET_MIN - before : size;
	inside->chunk = chunk;
	inside->input.length = before;
	result = scan(&chunk, packet + before, size, &end);
	if (run_on(kernel->progs.parity_scan, packet, before + size) != result ||
	    inside->end != before + end || memcmp(&chunk, &inside->chunk, sizeof(chunk))) {
		show("a chunked body in a packet", packet, before + size);
		fail();
	}
}

static void compare_chunks(const __u8 *bytes, size_t size, bool trailers)
{
	struct chunk chunk;
	__u8 events[FUZZED_MAX];

	chunk_begin(&chunk, trailers);
	for (size_t i = 0; i < size; i++)
		events[i] = parity_chunk_byte(&chunk, bytes[i]);
	memcpy(inside->input.bytes, bytes, size);
	inside->input.length = size;
	inside->input.trailers = trailers;
	run(kernel->progs.parity_chunks);
	if (memcmp(events, inside->events, size) || memcmp(&chunk, &inside->chunk, sizeof(chunk))) {
		show("a chunked body", bytes, size);
		fail();
	}
	chunk_begin(&chunk, trailers);
	compare_scan(chunk, bytes, size, 0);
	compare_scan(chunk, bytes, size, size % 41);
}

static void chunked_bodies_of_the_corpus_are_read_alike(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHUNK_CORPUS_SIZE; i++)
		compare_chunks((const __u8 *)chunk_corpus[i].bytes, chunk_corpus[i].size,
			       chunk_corpus[i].trailers);
}

static void chunked_bodies_changed_at_random_are_read_alike(void **state)
{
	struct mutator mutator = { SEED };
	__u8 text[1024];

	(void)state;
	for (int i = 0; i < MUTATIONS; i++) {
		const struct chunk_case *one =
			&chunk_corpus[mutator_draw(&mutator, CHUNK_CORPUS_SIZE)];
		const struct chunk_case *other =
			&chunk_corpus[mutator_draw(&mutator, CHUNK_CORPUS_SIZE)];
		size_t size = one->size;

		memcpy(text, one->bytes, size);
		for (__u32 changes = 1 + mutator_draw(&mutator, 3); changes; changes--)
			size = mutate(&mutator, text, size, sizeof(text), other->bytes,
				      other->size);
		compare_chunks(text, size, one->trailers);
	}
}

/* Chunks whose data and framing fall on every place of the window they are read through. */
static void chunks_of_every_length_are_read_alike(void **state)
{
	__u8 text[PACKET_MAX];
	struct chunk chunk;

	(void)state;
	chunk_begin(&chunk, false);
	for (__u32 length = 1; length < 200; length++) {
		size_t size = 0;

		for (int i = 0; i < 5; i++) {
			size += sprintf((char *)text + size, "%x\r\n", length);
			memset(text + size, '0', length);
			size += length;
			size += sprintf((char *)text + size, "\r\n");
		}
		size += sprintf((char *)text + size, "0\r\n\r\nGET");
		compare_scan(chunk, text, size, 0);
		compare_scan(chunk, text, size - 3, 7);
		compare_scan(chunk, text, size - 3 - length, length);
	}
}

static void chunked_bodies_cut_anywhere_are_read_alike(void **state)
{
	static const char text[] = "3;a=\"b\"\r\nabc\r\n"
				   "28\r\n0123456789012345678901234567890123456789\r\n"
				   "0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n";
	struct chunk chunk;

	(void)state;
	chunk_begin(&chunk, true);
	for (size_t cut = 0; cut < sizeof(text) - 17; cut++) {
		compare_scan(chunk, (const __u8 *)text + cut, sizeof(text) - 1 - cut, 0);
		compare_scan(chunk, (const __u8 *)text + cut, sizeof(text) - 1 - cut, cut);
		parity_chunk_byte(&chunk, text[cut]);
	}
}

/* Each file of a fuzzer's corpus, the first FUZZED_MAX bytes of it. */
static void each_fuzzed(const char *folder, void (*compare)(const __u8 *bytes, size_t size))
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	char path[512];
	__u8 bytes[FUZZED_MAX];
	int files = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		FILE *file;

		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "r");
		assert_non_null(file);
		compare(bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
		files++;
	}
	closedir(directory);
	assert_true(files > 0);
}

static void compare_fuzzed_head(const __u8 *bytes, size_t size)
{
	inside->input.limit = LIMIT;
	compare_head(bytes, size);
	inside->input.limit = size / 2;
	compare_head(bytes, size);
}

static void heads_that_fuzzing_brought_up_are_read_alike(void **state)
{
	(void)state;
	each_fuzzed("tests/fuzz/corpus/head", compare_fuzzed_head);
}

static void compare_fuzzed_response(const __u8 *bytes, size_t size)
{
	compare_response(bytes, size, false);
	compare_response(bytes, size, true);
}

static void answers_that_fuzzing_brought_up_are_followed_alike(void **state)
{
	(void)state;
	each_fuzzed("tests/fuzz/corpus/response", compare_fuzzed_response);
}

static void compare_fuzzed_chunks(const __u8 *bytes, size_t size)
{
	compare_chunks(bytes, size, false);
	compare_chunks(bytes, size, true);
}

static void chunked_bodies_that_fuzzing_brought_up_are_read_alike(void **state)
{
	(void)state;
	each_fuzzed("tests/fuzz/corpus/chunk", compare_fuzzed_chunks);
}

const struct CMUnitTest parser_tests[PARSER_TESTS] = {
	cmocka_unit_test(heads_of_the_corpus_are_read_alike),
	cmocka_unit_test(heads_cut_anywhere_are_read_alike),
	cmocka_unit_test(heads_about_their_limit_are_read_alike),
	cmocka_unit_test(heads_of_many_fields_are_read_alike),
	cmocka_unit_test(heads_changed_at_random_are_read_alike),
	cmocka_unit_test(heads_that_fuzzing_brought_up_are_read_alike),
	cmocka_unit_test(answers_of_the_corpus_are_followed_alike),
	cmocka_unit_test(answers_changed_at_random_are_followed_alike),
	cmocka_unit_test(answers_that_fuzzing_brought_up_are_followed_alike),
	cmocka_unit_test(chunked_bodies_of_the_corpus_are_read_alike),
	cmocka_unit_test(chunked_bodies_changed_at_random_are_read_alike),
	cmocka_unit_test(chunked_bodies_that_fuzzing_brought_up_are_read_alike),
	cmocka_unit_test(chunks_of_every_length_are_read_alike),
	cmocka_unit_test(chunked_bodies_cut_anywhere_are_read_alike),
};
