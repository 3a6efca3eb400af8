// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From a parsed head and a key's records to the verdict. */
#include <string.h>

#include "check.h"
#include "decide.h"

#define NOW  1700000000000ULL
#define TEXT "gx_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"

static const struct key_digest digest = { .bytes = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
						     15, 16 } };

static struct key_policy good_policy(void)
{
	struct key_policy policy = { .digest = digest, .slot = 7, .per_minute = 2, .per_day = 100 };

	memset(policy.identity, ' ', sizeof(policy.identity));
	memcpy(policy.identity, "X-Key-Id: key_a", 15);
	return policy;
}

static void each_verdict_of_the_parser_has_its_answer(void **state)
{
	static const struct {
		enum http_result result;
		enum reply reply;
	} cases[] = {
		{ HTTP_MORE, REPLY_BAD_REQUEST },	  { HTTP_BAD, REPLY_BAD_REQUEST },
		{ HTTP_TOO_LARGE, REPLY_HEAD_TOO_LARGE }, { HTTP_VERSION, REPLY_VERSION },
		{ HTTP_EXPECTATION, REPLY_EXPECTATION },
	};
	/* A good credential does not save a head that is not good. */
	struct http_head head = { .credential_kind = CREDENTIAL_BEARER };
	struct decision decision;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_false(decide_head(cases[i].result, &head, &decision));
		assert_false(decision.admitted);
		assert_int_equal(decision.reply, cases[i].reply);
	}
}

static void only_a_bearer_credential_is_looked_at(void **state)
{
	struct http_head head = { 0 };
	struct decision decision;

	(void)state;
	head.credential_kind = CREDENTIAL_BEARER;
	assert_true(decide_head(HTTP_DONE, &head, &decision));
	head.credential_kind = CREDENTIAL_NONE;
	assert_false(decide_head(HTTP_DONE, &head, &decision));
	assert_int_equal(decision.reply, REPLY_NO_KEY);
	head.credential_kind = CREDENTIAL_MALFORMED;
	assert_false(decide_head(HTTP_DONE, &head, &decision));
	assert_int_equal(decision.reply, REPLY_INVALID_KEY);
}

static void a_token_of_another_shape_is_an_invalid_key(void **state)
{
	struct settings settings = { .key_word = "gx" };
	struct token token = { 0 };
	struct key_digest found;
	struct decision decision;

	(void)state;
	memcpy(token.text, TEXT, 52);
	assert_true(decide_token(&token, 52, &settings, &found, &decision));
	token.text[10] = '-';
	assert_false(decide_token(&token, 52, &settings, &found, &decision));
	assert_false(decision.admitted);
	assert_int_equal(decision.reply, REPLY_INVALID_KEY);
	/* Before the daemon has written its settings, nothing is a key. */
	token.text[10] = 'a';
	memset(&settings, 0, sizeof(settings));
	assert_false(decide_token(&token, 52, &settings, &found, &decision));
}

static void an_unknown_key_is_invalid(void **state)
{
	struct grant grant;
	struct decision decision = { .admitted = true };

	(void)state;
	assert_false(decide_key(NULL, &digest, NOW, &grant, &decision));
	assert_false(decision.admitted);
	assert_int_equal(decision.reply, REPLY_INVALID_KEY);
}

static void a_record_that_became_another_keys_is_invalid(void **state)
{
	struct key_policy policy = good_policy();
	struct grant grant;
	struct decision decision;

	(void)state;
	policy.digest.bytes[15] ^= 0x80;
	assert_false(decide_key(&policy, &digest, NOW, &grant, &decision));
	assert_int_equal(decision.reply, REPLY_INVALID_KEY);
}

static void a_key_is_invalid_from_its_last_millisecond_on(void **state)
{
	struct key_policy policy = good_policy();
	struct grant grant;
	struct decision decision;

	(void)state;
	assert_true(decide_key(&policy, &digest, NOW, &grant, &decision));
	policy.expires_ms = NOW;
	assert_true(decide_key(&policy, &digest, NOW - 1, &grant, &decision));
	assert_false(decide_key(&policy, &digest, NOW, &grant, &decision));
	assert_int_equal(decision.reply, REPLY_INVALID_KEY);
	assert_false(decide_key(&policy, &digest, NOW + 1, &grant, &decision));
}

static void a_grant_is_what_the_record_says(void **state)
{
	struct key_policy policy = good_policy();
	struct grant grant;
	struct decision decision;

	(void)state;
	assert_true(decide_key(&policy, &digest, NOW, &grant, &decision));
	assert_int_equal(grant.slot, 7);
	assert_int_equal(grant.per_minute, 2);
	assert_int_equal(grant.per_day, 100);
	assert_memory_equal(grant.identity, policy.identity, sizeof(grant.identity));
}

static const struct settings secret = { .tag_key = { 1, 2 } };

/* A key that is looked up, as far as nothing is remembered. Returns whether it was. */
static bool looks_up(const struct token *token, const struct key_policy *policy,
		     const struct key_usage *usage, uint64_t now_ms, struct grant *grant)
{
	struct decision decision;

	if (decide_again(token, &secret, usage, now_ms, grant))
		return false;
	decide_key(policy, &digest, now_ms, grant, &decision);
	return true;
}

static void a_key_that_came_twice_is_not_looked_up_while_its_record_stands(void **state)
{
	struct key_policy policy = good_policy();
	struct key_usage usage = { .version = 3 };
	struct token token = { .text = TEXT }, other = token;
	struct grant grant = { 0 };

	(void)state;
	policy.version = 3;
	policy.expires_ms = NOW + 1;
	assert_true(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_true(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_false(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_false(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_int_equal(grant.slot, 7);

	usage.version = 4;
	assert_true(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_true(looks_up(&token, &policy, &usage, NOW, &grant));
	usage.version = 3;
	assert_false(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_true(looks_up(&token, &policy, NULL, NOW, &grant));
	assert_false(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_true(looks_up(&token, &policy, &usage, NOW + 1, &grant));

	/* Another key, whose sum is the same. */
	assert_true(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_false(looks_up(&token, &policy, &usage, NOW, &grant));
	other.text[0] ^= 1;
	other.text[8] ^= 1;
	assert_true(token_hint(&token) == token_hint(&other));
	assert_true(looks_up(&other, NULL, &usage, NOW, &grant));
	assert_true(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_false(looks_up(&token, &policy, &usage, NOW, &grant));
	assert_true(looks_up(&other, &policy, &usage, NOW, &grant));
}

static void a_key_whose_record_has_no_version_is_always_looked_up(void **state)
{
	struct key_policy policy = good_policy();
	struct key_usage usage = { 0 };
	struct token token = { .text = TEXT };
	struct grant grant = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_true(looks_up(&token, &policy, &usage, NOW, &grant));
}

/* What was read of a record is not of the key that came before any more. */
static void a_key_that_is_refused_is_not_remembered(void **state)
{
	struct key_policy expired = good_policy(), others = good_policy();
	const struct key_policy *const cases[] = { NULL, &expired, &others };
	struct key_usage usage = { .version = 1 };
	struct token token = { .text = TEXT };
	struct grant grant = { 0 };

	(void)state;
	expired.version = others.version = 1;
	expired.expires_ms = NOW;
	others.digest.bytes[15]++;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int k = 0; k < 4; k++)
			assert_true(looks_up(&token, cases[i], &usage, NOW, &grant));
	}
}

static void a_request_is_admitted_while_something_is_left(void **state)
{
	struct grant grant = { .per_minute = 2, .per_day = 100 };
	struct key_usage usage = { 0 };
	struct decision decision;

	(void)state;
	for (__u32 left = 2; left-- > 0;) {
		assert_true(decide_usage(&usage, &grant, NOW, &decision));
		assert_true(decision.admitted);
		assert_int_equal(decision.remaining, left);
		assert_int_equal(decision.reset_ms, NOW + 40000);
	}
	assert_false(decide_usage(&usage, &grant, NOW, &decision));
	assert_false(decision.admitted);
	assert_false(decision.busy);
	assert_int_equal(decision.reply, REPLY_RATE_LIMITED);
	assert_int_equal(decision.remaining, 0);
	assert_int_equal(decision.reset_ms, NOW + 40000);
}

static void a_key_without_a_slot_is_not_admitted(void **state)
{
	struct grant grant = { .per_minute = 2, .per_day = 100 };
	struct decision decision;

	(void)state;
	assert_false(decide_usage(NULL, &grant, NOW, &decision));
	assert_false(decision.admitted);
	assert_true(decision.busy);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_verdict_of_the_parser_has_its_answer),
		cmocka_unit_test(only_a_bearer_credential_is_looked_at),
		cmocka_unit_test(a_token_of_another_shape_is_an_invalid_key),
		cmocka_unit_test(an_unknown_key_is_invalid),
		cmocka_unit_test(a_record_that_became_another_keys_is_invalid),
		cmocka_unit_test(a_key_is_invalid_from_its_last_millisecond_on),
		cmocka_unit_test(a_grant_is_what_the_record_says),
		cmocka_unit_test(a_key_that_came_twice_is_not_looked_up_while_its_record_stands),
		cmocka_unit_test(a_key_whose_record_has_no_version_is_always_looked_up),
		cmocka_unit_test(a_key_that_is_refused_is_not_remembered),
		cmocka_unit_test(a_request_is_admitted_while_something_is_left),
		cmocka_unit_test(a_key_without_a_slot_is_not_admitted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
