// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The digest: against RFC 7693's family by way of libsodium, for every length it can be given. */
#include <sodium.h>
#include <string.h>

#include "blake2b.h"
#include "check.h"

static void check_length(size_t tail_length)
{
	__u64 head[BLAKE2B_HEAD_WORDS], tail[BLAKE2B_TAIL_WORDS] = { 0 }, digest[2];
	unsigned char text[96], expected[16];

	randombytes_buf(head, sizeof(head));
	randombytes_buf(tail, tail_length);
	memcpy(text, head, sizeof(head));
	memcpy(text + sizeof(head), tail, tail_length);
	crypto_generichash(expected, sizeof(expected), text, sizeof(head) + tail_length, NULL, 0);
	blake2b_128(digest, head, tail, sizeof(head) + tail_length);
	assert_memory_equal(digest, expected, sizeof(expected));
}

static void the_digest_equals_libsodiums_for_every_length(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		for (size_t length = 0; length <= 64; length++)
			check_length(length);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_equals_libsodiums_for_every_length),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blake2b", tests, NULL, NULL);
}
