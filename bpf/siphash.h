/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) of a few whole words: a
 * short tag, under a secret key.
 */
#ifndef SLUICE_SIPHASH_H
#define SLUICE_SIPHASH_H

#include "core.h"

#define SIPHASH_KEY_WORDS 2

#define SIPHASH_ROTATE(word, bits) ((word) << (bits) | (word) >> (64 - (bits)))

#define SIPHASH_ROUND(a, b, c, d)                                                                  \
	do {                                                                                       \
		a += b;                                                                            \
		b = SIPHASH_ROTATE(b, 13) ^ a;                                                     \
		a = SIPHASH_ROTATE(a, 32);                                                         \
		c += d;                                                                            \
		d = SIPHASH_ROTATE(d, 16) ^ c;                                                     \
		a += d;                                                                            \
		d = SIPHASH_ROTATE(d, 21) ^ a;                                                     \
		c += b;                                                                            \
		b = SIPHASH_ROTATE(b, 17) ^ c;                                                     \
		c = SIPHASH_ROTATE(c, 32);                                                         \
	} while (0)

/*
 * key		SIPHASH_KEY_WORDS words, kept secret
 * words	what is hashed, in the machine's order, which is the function's: lowest byte first
 * count	of them, known when it is compiled
 */
core_inline __u64 siphash_24(const __u64 *key, const __u64 *words, __u32 count)
{
	__u64 a = key[0] ^ 0x736f6d6570736575ULL, b = key[1] ^ 0x646f72616e646f6dULL;
	__u64 c = key[0] ^ 0x6c7967656e657261ULL, d = key[1] ^ 0x7465646279746573ULL;
	__u32 i;

	for (i = 0; i <= count; i++) {
		__u64 word = i < count ? words[i] : (__u64)count * 8 << 56;

		d ^= word;
		SIPHASH_ROUND(a, b, c, d);
		SIPHASH_ROUND(a, b, c, d);
		a ^= word;
	}
	c ^= 0xff;
	for (i = 0; i < 4; i++)
		SIPHASH_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

#endif
