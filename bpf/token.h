/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A key's text: its shape, and the digest under which it is known.
 */
#ifndef SLUICE_TOKEN_H
#define SLUICE_TOKEN_H

#include "abi.h"
#include "blake2b.h"
#include "siphash.h"
#include "text.h"

#define TOKEN_TAIL	  (KEY_RANDOM_SIZE + KEY_CHECK_SIZE) /* characters behind the '_' */
#define TOKEN_BUFFER_SIZE (BLAKE2B_TAIL_WORDS * 8)

/* A key's text on its way to the digest: NUL behind its last character, to the end. */
struct token {
	union {
		__u8 text[TOKEN_BUFFER_SIZE];
		__u64 words[BLAKE2B_TAIL_WORDS];
	};
};

_Static_assert(KEY_TEXT_MAX <= TOKEN_BUFFER_SIZE, "every key fits");
_Static_assert(PEPPER_SIZE == BLAKE2B_HEAD_WORDS * 8, "the pepper is the head of what is hashed");

/* Characters of a word: those before the first NUL. The first is in the lowest byte. */
core_inline __u32 token_word_length(__u64 word)
{
	__u32 length = 0;

	for (; length < KEY_WORD_MAX && word & 0xff; length++)
		word >>= 8;
	return length;
}

/*
 * True where the text is word, '_' and 49 characters of base62. The checksum is not looked at: an
 * invented key fails at the look-up anyway.
 *
 * length	characters of text
 * word		what stands before the '_', as struct settings has it in one piece
 */
core_global int token_shape(const struct token *token, __u32 length, __u64 word)
{
	__u32 i, word_length = token_word_length(word);
	__u8 unlike = 0;

	if (!token || !word_length || length != word_length + 1 + TOKEN_TAIL)
		return false;
	for (i = 0; i < KEY_WORD_MAX; i++) {
		if (i < word_length && token->text[i] != (__u8)(word >> 8 * i))
			return false;
	}
	word_length = core_index(word_length, 2 * KEY_WORD_MAX);
	if (token->text[word_length] != '_')
		return false;
	for (i = 1; i <= TOKEN_TAIL; i++)
		unlike |= ~text_class[token->text[(word_length + i) % TOKEN_BUFFER_SIZE]];
	return !(unlike & TEXT_ALNUM);
}

/*
 * The digest of a key: BLAKE2b-128 over pepper and text, libsodium's crypto_generichash() without a
 * key.
 *
 * pepper	PEPPER_SIZE bytes, aligned as __u64 is
 * length	characters of text
 *
 * ret_digest may be where token is.
 */
core_inline void token_digest(struct key_digest *ret_digest, const __u8 *pepper,
			      const struct token *token, __u32 length)
{
	blake2b_128(ret_digest->words, __builtin_assume_aligned(pepper, 8), token->words,
		    PEPPER_SIZE + length);
}

/* A sum of the text that tells most keys from others, and little of them. */
core_inline __u64 token_hint(const struct token *token)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < BLAKE2B_TAIL_WORDS; i++)
		sum ^= token->words[i];
	return sum;
}

/*
 * What a connection remembers a key by: not its text, which whoever lists the maps would read.
 *
 * key	as struct settings has it
 *
 * A function of its own for its frame, as there is little stack (inject.bpf.c).
 */
core_function __u64 token_tag(const struct token *token, const __u64 *key)
{
	return siphash_24(key, token->words, BLAKE2B_TAIL_WORDS);
}

/* True where both are equal, in a time that does not tell where they differ. */
core_inline bool digest_equals(const struct key_digest *a, const struct key_digest *b)
{
	__u64 left[DIGEST_SIZE / 8], right[DIGEST_SIZE / 8];

	__builtin_memcpy(left, a, sizeof(left));
	__builtin_memcpy(right, b, sizeof(right));
	return !((left[0] ^ right[0]) | (left[1] ^ right[1]));
}

#endif
