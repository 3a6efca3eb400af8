/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BLAKE2b-128 (RFC 7693) of an input that fits in one block, without a key.
 */
#ifndef SLUICE_BLAKE2B_H
#define SLUICE_BLAKE2B_H

#include "core.h"

#define BLAKE2B_HEAD_WORDS 4 /* 32 bytes that come first */
#define BLAKE2B_TAIL_WORDS 8 /* up to 64 bytes behind them */

/* RFC 7693 2.6; written out, so that each round's words are known to the compiler. */
#define BLAKE2B_IV0 0x6a09e667f3bcc908ULL
#define BLAKE2B_IV1 0xbb67ae8584caa73bULL
#define BLAKE2B_IV2 0x3c6ef372fe94f82bULL
#define BLAKE2B_IV3 0xa54ff53a5f1d36f1ULL
#define BLAKE2B_IV4 0x510e527fade682d1ULL
#define BLAKE2B_IV5 0x9b05688c2b3e6c1fULL
#define BLAKE2B_IV6 0x1f83d9abfb41bd6bULL
#define BLAKE2B_IV7 0x5be0cd19137e2179ULL

core_inline __u64 blake2b_rotate(__u64 word, int bits)
{
	return word >> bits | word << (64 - bits);
}

/* Word i of the block; the last four are zero. */
core_inline __u64 blake2b_word(const __u64 *head, const __u64 *tail, int i)
{
	if (i < BLAKE2B_HEAD_WORDS)
		return head[i];
	if (i < BLAKE2B_HEAD_WORDS + BLAKE2B_TAIL_WORDS)
		return tail[i - BLAKE2B_HEAD_WORDS];
	return 0;
}

/* The mixing function G, RFC 7693 3.1. */
#define BLAKE2B_MIX(a, b, c, d, x, y)                                                              \
	do {                                                                                       \
		a += b + blake2b_word(head, tail, x);                                              \
		d = blake2b_rotate(d ^ a, 32);                                                     \
		c += d;                                                                            \
		b = blake2b_rotate(b ^ c, 24);                                                     \
		a += b + blake2b_word(head, tail, y);                                              \
		d = blake2b_rotate(d ^ a, 16);                                                     \
		c += d;                                                                            \
		b = blake2b_rotate(b ^ c, 63);                                                     \
	} while (0)

/* A round of RFC 7693 3.2, with that round's row of SIGMA (2.7). */
#define BLAKE2B_ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)        \
	do {                                                                                       \
		BLAKE2B_MIX(v0, v4, v8, v12, s0, s1);                                              \
		BLAKE2B_MIX(v1, v5, v9, v13, s2, s3);                                              \
		BLAKE2B_MIX(v2, v6, v10, v14, s4, s5);                                             \
		BLAKE2B_MIX(v3, v7, v11, v15, s6, s7);                                             \
		BLAKE2B_MIX(v0, v5, v10, v15, s8, s9);                                             \
		BLAKE2B_MIX(v1, v6, v11, v12, s10, s11);                                           \
		BLAKE2B_MIX(v2, v7, v8, v13, s12, s13);                                            \
		BLAKE2B_MIX(v3, v4, v9, v14, s14, s15);                                            \
	} while (0)

/*
 * Hash 32 bytes of head and a tail, the tail's words zero behind its last byte.
 *
 * ret_digest	two words: 16 bytes; may be in head or tail, which are read before
 * length	bytes of head and tail together, 32 to 96
 *
 * Words are little-endian as the algorithm wants them, as on every machine this runs on.
 */
core_function void blake2b_128(__u64 *ret_digest, const __u64 *head, const __u64 *tail,
			       __u64 length)
{
	/* The parameter block: 16 bytes of digest, no key, fanout and depth 1. */
	const __u64 h0 = BLAKE2B_IV0 ^ 0x01010010;
	__u64 v0 = h0, v1 = BLAKE2B_IV1, v2 = BLAKE2B_IV2, v3 = BLAKE2B_IV3;
	__u64 v4 = BLAKE2B_IV4, v5 = BLAKE2B_IV5, v6 = BLAKE2B_IV6, v7 = BLAKE2B_IV7;
	__u64 v8 = BLAKE2B_IV0, v9 = BLAKE2B_IV1, v10 = BLAKE2B_IV2, v11 = BLAKE2B_IV3;
	__u64 v12 = BLAKE2B_IV4 ^ length, v13 = BLAKE2B_IV5;
	__u64 v14 = ~BLAKE2B_IV6 /* the last block */, v15 = BLAKE2B_IV7;

	BLAKE2B_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	BLAKE2B_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
	BLAKE2B_ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
	BLAKE2B_ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
	BLAKE2B_ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
	BLAKE2B_ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
	BLAKE2B_ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
	BLAKE2B_ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
	BLAKE2B_ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
	BLAKE2B_ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
	BLAKE2B_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	BLAKE2B_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);

	ret_digest[0] = h0 ^ v0 ^ v8;
	ret_digest[1] = BLAKE2B_IV1 ^ v1 ^ v9;
}

#endif
