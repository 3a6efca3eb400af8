/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the fuzzers share: a property that must hold, cuts at random, and a reader for the oracles.
 *
 * An oracle says what must come out, written independently of the code under test and as plainly as
 * the grammar: it reads a whole text at once, forwards, with a jump out where the text ends or fails.
 */
#ifndef SLUICE_FUZZ_H
#define SLUICE_FUZZ_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Numbers that look random, and are the same for the same text (FNV-1a, xorshift64). */
struct dice {
	uint64_t state;
};

static inline struct dice dice_of(const uint8_t *bytes, size_t size)
{
	uint64_t state = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		state = (state ^ bytes[i]) * 0x100000001b3;
	return (struct dice){ state | 1 };
}

/* Below bound, which is not 0. */
static inline size_t dice_throw(struct dice *dice, size_t bound)
{
	dice->state ^= dice->state << 13;
	dice->state ^= dice->state >> 7;
	dice->state ^= dice->state << 17;
	return (dice->state >> 8) % bound;
}

struct reader {
	const uint8_t *bytes;
	size_t size;
	size_t at;
	size_t limit; /* bytes that may be taken */
	int at_end;   /* verdict where the text ends */
	int at_limit; /* verdict where the limit is reached first */
	int bad;      /* verdict where the text is not as expected */
	jmp_buf out;
};

/* Stop reading; verdict is not 0. */
static inline void __attribute__((noreturn)) reader_stop(struct reader *in, int verdict)
{
	longjmp(in->out, verdict);
}

static inline uint8_t reader_peek(struct reader *in)
{
	if (in->at == in->size)
		reader_stop(in, in->at_end);
	if (in->at == in->limit)
		reader_stop(in, in->at_limit);
	return in->bytes[in->at];
}

static inline uint8_t reader_take(struct reader *in)
{
	uint8_t byte = reader_peek(in);

	in->at++;
	return byte;
}

static inline void reader_need(struct reader *in, bool good)
{
	if (!good)
		reader_stop(in, in->bad);
}

static inline void reader_expect(struct reader *in, const char *text)
{
	while (*text)
		reader_need(in, reader_take(in) == (uint8_t)*text++);
}

/* A piece of a text. */
struct piece {
	const char *text;
	size_t length;
};

static inline bool is_one_of(uint8_t byte, const char *set)
{
	return byte && strchr(set, byte);
}

static inline bool is_alnum(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= 'A' && byte <= 'Z');
}

static inline bool is_tchar(uint8_t byte)
{
	return is_alnum(byte) || is_one_of(byte, "!#$%&'*+-.^_`|~");
}

static inline bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static inline bool is_value_byte(uint8_t byte)
{
	return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

/* Take what is of a kind, however little. */
static inline struct piece reader_while(struct reader *in, bool (*is_kind)(uint8_t byte))
{
	size_t from = in->at;

	while (is_kind(reader_peek(in)))
		in->at++;
	return (struct piece){ (const char *)in->bytes + from, in->at - from };
}

/* Take all up to a byte, without it. */
static inline struct piece reader_until(struct reader *in, uint8_t end)
{
	size_t from = in->at;

	while (reader_peek(in) != end)
		in->at++;
	return (struct piece){ (const char *)in->bytes + from, in->at - from };
}

static inline struct piece piece_trim(struct piece piece)
{
	while (piece.length && is_blank(piece.text[0])) {
		piece.text++;
		piece.length--;
	}
	while (piece.length && is_blank(piece.text[piece.length - 1]))
		piece.length--;
	return piece;
}

static inline bool piece_is(struct piece piece, const char *text)
{
	return piece.length == strlen(text) && !strncasecmp(piece.text, text, piece.length);
}

/* The same where '-' stands for whatever is neither letter nor digit. */
static inline bool piece_looks_like(struct piece piece, const char *text)
{
	if (piece.length != strlen(text))
		return false;
	for (size_t i = 0; i < piece.length; i++) {
		if (is_alnum(piece.text[i]) ? strncasecmp(piece.text + i, text + i, 1)
					    : text[i] != '-')
			return false;
	}
	return true;
}

static inline bool piece_is_all(struct piece piece, bool (*is_kind)(uint8_t byte))
{
	for (size_t i = 0; i < piece.length; i++) {
		if (!is_kind(piece.text[i]))
			return false;
	}
	return true;
}

/* Take the part up to the next comma off a list, trimmed. Returns false at its end. */
static inline bool piece_next(struct piece *rest, struct piece *ret_element)
{
	const char *comma;
	size_t length;

	if (!rest->text)
		return false;
	comma = memchr(rest->text, ',', rest->length);
	length = comma ? (size_t)(comma - rest->text) : rest->length;
	*ret_element = piece_trim((struct piece){ rest->text, length });
	rest->text = comma ? comma + 1 : NULL;
	rest->length -= comma ? length + 1 : 0;
	return true;
}

/* A decimal number; false where it is none, or over 2^63 - 1. */
static inline bool piece_number(struct piece piece, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (size_t i = 0; i < piece.length; i++) {
		uint8_t digit = piece.text[i] - '0';

		if (digit > 9 || number > (INT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return piece.length > 0;
}

#endif
