// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The decision core finds the same in the kernel as in user space: one corpus, and some ten
 * thousand random changes of it, through both. Each difference is a failure.
 */
#include <bpf/bpf.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../unit/check.h"
#include "chunk_corpus.h"
#include "decide.h"
#include "http_corpus.h"
#include "mutate.h"
#include "parity.h"
#include "response_corpus.h"
#include "test/parity.skel.h"

#define LIMIT	   16384
#define SEED	   0x5109ce
#define MUTATIONS  10000
#define PACKET_MIN 14	/* bytes a packet must have to be run */
#define PACKET_MAX 3000 /* and may have: less than a page */
#define NOON	   (20000ULL * LIMIT_DAY_MS + 720 * LIMIT_MINUTE_MS)

static struct parity_bpf *kernel;
static struct parity_bpf__bss *at; /* the programs' variables */

/* Run a program on a packet; returns what it returned. */
static int run_on(struct bpf_program *program, const void *packet, size_t size, int repeat,
		  __u32 *ret_duration_ns)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = size,
		    .repeat = repeat);

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &options))
		fail_msg("%s cannot be run", bpf_program__name(program));
	if (ret_duration_ns)
		*ret_duration_ns = options.duration;
	return options.retval;
}

static int run(struct bpf_program *program)
{
	static const char nothing[PACKET_MIN];

	return run_on(program, nothing, sizeof(nothing), 1, NULL);
}

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
	enum http_result result = parse(&head, at->input.limit, bytes, size);

	memcpy(at->input.bytes, bytes, size);
	at->input.length = size;
	if (run(kernel->progs.parity_head) != (int)result ||
	    memcmp(&head, &at->head, sizeof(head))) {
		show("a head", bytes, size);
		fail();
	}
	if (size > PACKET_MAX)
		return;
	memcpy(packet, bytes, size);
	size = size < PACKET_MIN ? PACKET_MIN : size;
	result = parse(&head, at->input.limit, packet, size);
	if (run_on(kernel->progs.parity_packet, packet, size, 1, NULL) != (int)result ||
	    memcmp(&head, &at->head, sizeof(head))) {
		show("a head in a packet", packet, size);
		fail();
	}
}

static void heads_of_the_corpus_are_read_alike(void **state)
{
	(void)state;
	at->input.limit = LIMIT;
	for (size_t i = 0; i < HTTP_CORPUS_SIZE; i++)
		compare_head((const __u8 *)http_corpus[i].bytes, http_corpus[i].size);
}

static void heads_cut_anywhere_are_read_alike(void **state)
{
	static const char text[] = LINE HOST BEARER "Content-Length: 17\r\nX-Key-Id: a\r\n\r\nbody";

	(void)state;
	at->input.limit = LIMIT;
	for (size_t size = 0; size < sizeof(text); size++)
		compare_head((const __u8 *)text, size);
}

static void heads_about_their_limit_are_read_alike(void **state)
{
	static const char text[] = "\r\n" LINE HOST BEARER "X: y\r\n\r\n";
	__u8 large[LIMIT + 4];

	(void)state;
	for (__u32 limit = 0; limit < sizeof(text) + 2; limit++) {
		at->input.limit = limit;
		compare_head((const __u8 *)text, sizeof(text) - 1);
	}
	at->input.limit = LIMIT;
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
	at->input.limit = LIMIT;
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
	at->input.limit = LIMIT;
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
	__u8 events[2048];

	response_begin(&response, to_head);
	for (size_t i = 0; i < size; i++)
		events[i] = parity_follow(&response, bytes[i], to_head);
	memcpy(at->input.bytes, bytes, size);
	at->input.length = size;
	at->input.to_head = to_head;
	run(kernel->progs.parity_response);
	if (memcmp(events, at->events, size) ||
	    memcmp(&response, &at->response, sizeof(response))) {
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

/* The body in a packet, behind `before` bytes of something else. */
static void compare_scan(const __u8 *bytes, size_t size, __u32 before)
{
	__u8 packet[PACKET_MAX] = { 0 };
	struct chunk chunk;
	__u32 end;
	int result;

	memcpy(packet + before, bytes, size);
	size = before + size < PACKET_MIN ? PACKET_MIN - before : size;
	chunk_begin(&chunk, at->input.trailers);
	result = scan(&chunk, packet + before, size, &end);
	at->input.length = before;
	if (run_on(kernel->progs.parity_scan, packet, before + size, 1, NULL) != result ||
	    at->end != before + end || memcmp(&chunk, &at->chunk, sizeof(chunk))) {
		show("a chunked body in a packet", packet, before + size);
		fail();
	}
}

static void compare_chunks(const __u8 *bytes, size_t size, bool trailers)
{
	struct chunk chunk;
	__u8 events[2048];

	chunk_begin(&chunk, trailers);
	for (size_t i = 0; i < size; i++)
		events[i] = parity_chunk_byte(&chunk, bytes[i]);
	memcpy(at->input.bytes, bytes, size);
	at->input.length = size;
	at->input.trailers = trailers;
	run(kernel->progs.parity_chunks);
	if (memcmp(events, at->events, size) || memcmp(&chunk, &at->chunk, sizeof(chunk))) {
		show("a chunked body", bytes, size);
		fail();
	}
	compare_scan(bytes, size, 0);
	compare_scan(bytes, size, size % 41);
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

	(void)state;
	at->input.trailers = false;
	for (__u32 length = 1; length < 200; length++) {
		size_t size = 0;

		for (int i = 0; i < 5; i++) {
			size += sprintf((char *)text + size, "%x\r\n", length);
			memset(text + size, '0', length);
			size += length;
			size += sprintf((char *)text + size, "\r\n");
		}
		size += sprintf((char *)text + size, "0\r\n\r\nGET");
		compare_scan(text, size, 0);
		compare_scan(text, size - 3, 7);
		compare_scan(text, size - 3 - length, length);
	}
}

static void compare_token(const struct token *token, __u32 length, const struct settings *settings)
{
	struct key_digest digest = { 0 };
	struct decision decision = { 0 };
	bool good = decide_token(token, length, settings, &digest, &decision);

	at->token = *token;
	at->settings = *settings;
	at->input.length = length;
	memset(&at->digest, 0, sizeof(at->digest));
	memset(&at->decision, 0, sizeof(at->decision));
	assert_int_equal(run(kernel->progs.parity_token), good);
	assert_memory_equal(&digest, &at->digest, sizeof(digest));
	assert_memory_equal(&decision, &at->decision, sizeof(decision));
}

static void keys_are_judged_and_hashed_alike(void **state)
{
	static const char alphabet[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	struct mutator mutator = { SEED };
	struct settings settings = { 0 };

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct token token = { 0 };
		__u32 word = mutator_draw(&mutator, KEY_WORD_MAX + 1);
		__u32 length = word + 1 + TOKEN_TAIL;

		for (__u32 k = 0; k < length && k < KEY_TEXT_MAX; k++)
			token.text[k] = alphabet[mutator_draw(&mutator, sizeof(alphabet) - 1)];
		token.text[word] = '_';
		memcpy(settings.key_word, token.text, word);
		settings.key_word_length = word;
		for (int k = 0; k < PEPPER_SIZE; k++)
			settings.pepper[k] = mutator_draw(&mutator, 256);
		compare_token(&token, length, &settings);
		token.text[mutator_draw(&mutator, length)] = mutator_byte(&mutator);
		compare_token(&token, length, &settings);
		compare_token(&token, mutator_draw(&mutator, KEY_TEXT_MAX + 1), &settings);
	}
}

/* An hour or two at random, mostly forth, now and then back or to another day. */
static __u64 next_instant(struct mutator *mutator, __u64 now_ms)
{
	switch (mutator_draw(mutator, 50)) {
	case 0:
		return now_ms + LIMIT_DAY_MS;
	case 1:
		return now_ms - mutator_draw(mutator, 3 * LIMIT_DAY_MS);
	default:
		return now_ms + mutator_draw(mutator, 20000);
	}
}

static void requests_are_counted_alike(void **state)
{
	struct mutator mutator = { SEED };
	struct key_usage usage = { 0 };
	__u64 now_ms = NOON;

	(void)state;
	memset(&at->usage, 0, sizeof(at->usage));
	for (int i = 0; i < MUTATIONS; i++) {
		struct limit_state found;
		__u32 per_minute = mutator_draw(&mutator, 8), per_day = mutator_draw(&mutator, 200);
		enum limit_result result;

		now_ms = next_instant(&mutator, now_ms);
		result = limit_take(&usage, per_minute, per_day, now_ms, &found);
		at->policy.per_minute = per_minute;
		at->policy.per_day = per_day;
		at->now_ms = now_ms;
		assert_int_equal(run(kernel->progs.parity_limit), result);
		assert_memory_equal(&found, &at->state, sizeof(found));
		assert_memory_equal(&usage, &at->usage, sizeof(usage));
	}
}

static bool judge(const struct key_policy *policy, const struct key_digest *wanted, __u64 now_ms,
		  struct key_usage *usage, struct grant *ret_grant, struct decision *ret_decision)
{
	if (!decide_key(policy, wanted, now_ms, ret_grant, ret_decision))
		return false;
	return decide_usage(usage, ret_grant, now_ms, ret_decision);
}

static void records_are_judged_alike(void **state)
{
	struct mutator mutator = { SEED };
	struct key_usage usage = { 0 };

	(void)state;
	memset(&at->usage, 0, sizeof(at->usage));
	for (int i = 0; i < 2000; i++) {
		struct key_policy policy = { .per_minute = 20, .per_day = 100, .slot = i };
		struct decision decision = { 0 };
		struct grant grant = { 0 };
		bool admitted;

		at->now_ms = NOON + i * 997;
		memset(&at->grant, 0, sizeof(at->grant));
		memset(&at->decision, 0, sizeof(at->decision));
		for (int k = 0; k < IDENTITY_SIZE; k++)
			policy.identity[k] = mutator_draw(&mutator, 256);
		at->wanted = policy.digest;
		policy.digest.bytes[i % DIGEST_SIZE] = mutator_draw(&mutator, 2);
		policy.expires_ms = at->now_ms - 1 + mutator_draw(&mutator, 3);
		if (mutator_draw(&mutator, 2))
			policy.expires_ms = 0;
		at->policy = policy;
		admitted = judge(&policy, &at->wanted, at->now_ms, &usage, &grant, &decision);
		assert_int_equal(run(kernel->progs.parity_key), admitted);
		assert_memory_equal(&grant, &at->grant, sizeof(grant));
		assert_memory_equal(&decision, &at->decision, sizeof(decision));
		assert_memory_equal(&usage, &at->usage, sizeof(usage));
	}
}

/* A browser's request, some 500 bytes. */
static const char usual[] =
	"GET /api/v1/models?limit=20&after=model_0001 HTTP/1.1\r\n"
	"Host: api.example.com\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: application/json, text/plain;q=0.9, */*;q=0.8\r\n"
	"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Authorization: Bearer " KEY "\r\n"
	"Connection: keep-alive\r\n"
	"Sec-Fetch-Dest: empty\r\n"
	"Sec-Fetch-Mode: cors\r\n"
	"Cache-Control: no-cache\r\n"
	"\r\n";

/* The best of some rounds, in ns a run: what else the machine does only adds to it. */
static __u32 measure(struct bpf_program *program, size_t size)
{
	__u32 best = ~0u, duration_ns;

	for (int round = 0; round < 10; round++) {
		run_on(program, usual, size, 20000, &duration_ns);
		best = duration_ns < best ? duration_ns : best;
	}
	return best;
}

static void a_usual_head_is_read_in_good_time(void **state)
{
	struct settings settings = { .key_word = "gx", .key_word_length = 2 };
	__u32 head_ns, token_ns, limit_ns;

	(void)state;
	at->input.limit = LIMIT;
	assert_int_equal(run_on(kernel->progs.parity_packet, usual, sizeof(usual) - 1, 1, NULL),
			 HTTP_DONE);
	head_ns = measure(kernel->progs.parity_packet, sizeof(usual) - 1);
	memset(&at->token, 0, sizeof(at->token));
	memcpy(at->token.text, KEY, sizeof(KEY) - 1);
	at->settings = settings;
	at->input.length = sizeof(KEY) - 1;
	assert_int_equal(run(kernel->progs.parity_token), true);
	token_ns = measure(kernel->progs.parity_token, PACKET_MIN);
	at->policy.per_minute = 10000;
	at->policy.per_day = 100000;
	limit_ns = measure(kernel->progs.parity_limit, PACKET_MIN);
	print_message("# head of %zu bytes %u ns, key's shape and digest %u ns, limits %u ns\n",
		      sizeof(usual) - 1, head_ns, token_ns, limit_ns);
	/* Far above what it takes, so that a busy machine does not fail it. */
	assert_true(head_ns + token_ns + limit_ns < 50000);
}

static int load(void **state)
{
	(void)state;
	kernel = parity_bpf__open_and_load();
	if (!kernel)
		return -1;
	at = kernel->bss;
	return 0;
}

static int unload(void **state)
{
	(void)state;
	parity_bpf__destroy(kernel);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_of_the_corpus_are_read_alike),
		cmocka_unit_test(heads_cut_anywhere_are_read_alike),
		cmocka_unit_test(heads_about_their_limit_are_read_alike),
		cmocka_unit_test(heads_of_many_fields_are_read_alike),
		cmocka_unit_test(heads_changed_at_random_are_read_alike),
		cmocka_unit_test(answers_of_the_corpus_are_followed_alike),
		cmocka_unit_test(answers_changed_at_random_are_followed_alike),
		cmocka_unit_test(chunked_bodies_of_the_corpus_are_read_alike),
		cmocka_unit_test(chunked_bodies_changed_at_random_are_read_alike),
		cmocka_unit_test(chunks_of_every_length_are_read_alike),
		cmocka_unit_test(keys_are_judged_and_hashed_alike),
		cmocka_unit_test(requests_are_counted_alike),
		cmocka_unit_test(records_are_judged_alike),
		cmocka_unit_test(a_usual_head_is_read_in_good_time),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("parity", tests, load, unload);
}
