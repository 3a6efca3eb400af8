// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The decision core finds the same in the kernel as in user space: one corpus, and some ten
 * thousand random changes of it, through both. Each difference is a failure.
 */
#include <bpf/bpf.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "kernel_side.h"
#include "mutate.h"

#define LIMIT	  16384 /* of a head, bytes */
#define MUTATIONS 10000
#define NOON	  (20000ULL * LIMIT_DAY_MS + 720 * LIMIT_MINUTE_MS)

struct parity_bpf *kernel;
struct parity_bpf__bss *inside;

/* Run a program on a packet; returns what it returned. */
int run_on(struct bpf_program *program, const void *packet, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = size);

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &options))
		fail_msg("%s cannot be run", bpf_program__name(program));
	return options.retval;
}

int run(struct bpf_program *program)
{
	static const char nothing[PACKET_MIN];

	return run_on(program, nothing, sizeof(nothing));
}

static void compare_token(const struct token *token, __u32 length, const struct settings *settings)
{
	struct key_digest digest = { 0 };
	struct decision decision = { 0 };
	bool good = decide_token(token, length, settings, &digest, &decision);

	inside->token = *token;
	inside->settings = *settings;
	inside->input.length = length;
	memset(&inside->digest, 0, sizeof(inside->digest));
	memset(&inside->decision, 0, sizeof(inside->decision));
	assert_int_equal(run(kernel->progs.parity_token), good);
	assert_memory_equal(&digest, &inside->digest, sizeof(digest));
	assert_memory_equal(&decision, &inside->decision, sizeof(decision));
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
		settings.key_word_bits = 0;
		memcpy(settings.key_word, token.text, word);
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
	memset(&inside->usage, 0, sizeof(inside->usage));
	for (int i = 0; i < MUTATIONS; i++) {
		struct limit_state found;
		__u32 per_minute = mutator_draw(&mutator, 8), per_day = mutator_draw(&mutator, 200);
		enum limit_result result;

		now_ms = next_instant(&mutator, now_ms);
		result = limit_take(&usage, per_minute, per_day, now_ms, &found);
		if (result == LIMIT_USED_UP)
			limit_count_refused(&usage);
		inside->policy.per_minute = per_minute;
		inside->policy.per_day = per_day;
		inside->now_ms = now_ms;
		assert_int_equal(run(kernel->progs.parity_limit), result);
		assert_memory_equal(&found, &inside->state, sizeof(found));
		assert_memory_equal(&usage, &inside->usage, sizeof(usage));
	}
}

static bool judge(const struct key_policy *policy, const struct key_digest *wanted, __u64 now_ms,
		  struct key_usage *usage, struct grant *ret_grant, struct decision *ret_decision)
{
	if (!decide_again(&inside->token, &inside->settings, usage, now_ms, ret_grant) &&
	    !decide_key(policy, wanted, now_ms, ret_grant, ret_decision))
		return false;
	return decide_usage(usage, ret_grant, now_ms, ret_decision);
}

static void records_are_judged_alike(void **state)
{
	struct mutator mutator = { SEED };
	struct key_usage usage = { 0 };
	struct grant before = { 0 };

	(void)state;
	memset(&inside->usage, 0, sizeof(inside->usage));
	for (int i = 0; i < 2000; i++) {
		struct key_policy policy = { .per_minute = 20, .per_day = 100, .slot = i };
		struct decision decision = { 0 };
		struct grant grant = { 0 };
		bool admitted;

		inside->now_ms = NOON + i * 997;
		/* The key before, or another one. */
		if (mutator_draw(&mutator, 2)) {
			grant = before;
			policy.version = grant.version;
		} else {
			policy.version = mutator_draw(&mutator, 3);
		}
		usage.version = inside->usage.version = mutator_draw(&mutator, 3);
		inside->token.text[0] = mutator_draw(&mutator, 2);
		inside->grant = grant;
		memset(&inside->decision, 0, sizeof(inside->decision));
		for (int k = 0; k < IDENTITY_SIZE; k++)
			policy.identity[k] = mutator_draw(&mutator, 256);
		inside->wanted = policy.digest;
		policy.digest.bytes[i % DIGEST_SIZE] = mutator_draw(&mutator, 2);
		policy.expires_ms = inside->now_ms - 1 + mutator_draw(&mutator, 3);
		if (mutator_draw(&mutator, 2))
			policy.expires_ms = 0;
		inside->policy = policy;
		admitted =
			judge(&policy, &inside->wanted, inside->now_ms, &usage, &grant, &decision);
		assert_int_equal(run(kernel->progs.parity_key), admitted);
		assert_memory_equal(&grant, &inside->grant, sizeof(grant));
		assert_memory_equal(&decision, &inside->decision, sizeof(decision));
		assert_memory_equal(&usage, &inside->usage, sizeof(usage));
		before = grant;
	}
}

static int load(void **state)
{
	(void)state;
	kernel = parity_bpf__open_and_load();
	if (!kernel)
		return -1;
	inside = kernel->bss;
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
		cmocka_unit_test(keys_are_judged_and_hashed_alike),
		cmocka_unit_test(requests_are_counted_alike),
		cmocka_unit_test(records_are_judged_alike),
	};
	struct CMUnitTest all[PARSER_TESTS + sizeof(tests) / sizeof(*tests)];

	memcpy(all, parser_tests, sizeof(parser_tests));
	memcpy(all + PARSER_TESTS, tests, sizeof(tests));
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("parity", all, load, unload);
}
