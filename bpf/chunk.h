/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Chunked bodies of requests, RFC 9112 7.1 read strictly, one byte at a time with data skipped: what
 * two recipients may understand differently is bad.
 *
 * Stricter than the grammar in one point: white space (BWS) is refused wherever the grammar bears
 * with it, before ';', around '=' and behind the size. Recipients differ in what they make of it,
 * and RFC 9112 has no sender write it.
 */
#ifndef SLUICE_CHUNK_H
#define SLUICE_CHUNK_H

#include "text.h"

#define CHUNK_DIGITS_MAX    16	 /* of a chunk's size, leading zeros among them */
#define CHUNK_EXTENSION_MAX 256	 /* bytes of a chunk's extensions, from the first ';' to the CR */
#define CHUNK_FIELDS_MAX    100	 /* trailers */
#define CHUNK_TRAILERS_MAX  4096 /* bytes of all their lines */

/* What was reached with a byte. */
enum chunk_event {
	CHUNK_MORE, /* nothing of note */
	CHUNK_SKIP, /* `skip` bytes of data follow, that need not be looked at */
	CHUNK_END,  /* that byte was the body's last */
	CHUNK_BAD,  /* not well-formed, or ambiguous: so is every byte that follows */
};

/* What was found of a body in one buffer. */
enum scan {
	SCAN_MORE, /* the buffer ends before the body does */
	SCAN_END,  /* the body ends in this buffer */
	SCAN_BAD,  /* it is not well-formed */
};

enum chunk_state {
	CHUNK_IN_SIZE,
	CHUNK_AT_EXTENSION, /* behind ';' */
	CHUNK_IN_EXTENSION,
	CHUNK_AT_VALUE, /* behind '=' */
	CHUNK_IN_VALUE,
	CHUNK_IN_QUOTES,
	CHUNK_AT_QUOTED,    /* behind a backslash in quotes */
	CHUNK_BEHIND_VALUE, /* behind the closing quote */
	CHUNK_AT_SIZE_LF,
	CHUNK_IN_DATA, /* skipped */
	CHUNK_AT_DATA_CR,
	CHUNK_AT_DATA_LF,
	CHUNK_AT_LINE, /* first byte of a line behind the last chunk */
	CHUNK_IN_NAME,
	CHUNK_IN_TRAILER, /* a trailer's value */
	CHUNK_AT_LINE_LF,
	CHUNK_AT_END_LF,
	CHUNK_OVER,
};

struct chunk {
	__u64 skip; /* set with CHUNK_SKIP, else 0; the caller may count it down */
	union {
		__u64 size;	       /* of this chunk, as far as it was read */
		struct text_word name; /* of this trailer, in the form that look-alikes share */
	};
	__u16 length;  /* bytes of extensions of this chunk; then of trailers */
	__u8 state;    /* enum chunk_state */
	__u8 digits;   /* of the size */
	__u8 trailers; /* trailers may come */
	__u8 fields;   /* trailers so far */
	__u8 barred;   /* a trailer's name begins as one that is refused: the body is bad */
	__u8 reserved;
};

_Static_assert(sizeof(struct chunk) <= 40, "part of every connection's record");

/*
 * Make ready for a body.
 *
 * trailers	pass trailers but for those that RFC 9110 6.5.1 keeps out; else any trailer is bad
 */
core_inline void chunk_begin(struct chunk *chunk, bool trailers)
{
	__builtin_memset(chunk, 0, sizeof(*chunk));
	chunk->trailers = trailers;
}

core_inline enum chunk_event chunk_bad(struct chunk *chunk)
{
	chunk->skip = 0;
	chunk->state = CHUNK_OVER;
	return CHUNK_BAD;
}

core_inline enum chunk_event chunk_go(struct chunk *chunk, enum chunk_state state)
{
	chunk->state = state;
	return CHUNK_MORE;
}

/* Go to state with the one byte that must come now. */
core_inline enum chunk_event chunk_expect(struct chunk *chunk, __u8 byte, __u8 expected,
					  enum chunk_state state)
{
	return byte == expected ? chunk_go(chunk, state) : chunk_bad(chunk);
}

core_inline enum chunk_event chunk_size_byte(struct chunk *chunk, __u8 byte)
{
	__u8 lower = text_lower(byte);
	__u8 digit = text_is_digit(byte) ? byte - '0' : lower - 'a' + 10;

	if (text_is_digit(byte) || (lower >= 'a' && lower <= 'f')) {
		/* A size is at most 2^63 - 1. */
		if (chunk->digits >= CHUNK_DIGITS_MAX || chunk->size >> 59)
			return chunk_bad(chunk);
		chunk->digits++;
		chunk->size = chunk->size << 4 | digit;
		return CHUNK_MORE;
	}
	if (!chunk->digits)
		return chunk_bad(chunk);
	if (byte != ';')
		return chunk_expect(chunk, byte, '\r', CHUNK_AT_SIZE_LF);
	chunk->length = 1;
	return chunk_go(chunk, CHUNK_AT_EXTENSION);
}

/*
 * chunk-ext = *( ";" name [ "=" ( token / quoted-string ) ] ). No CR or LF can hide in quotes, so a
 * recipient that does not read extensions finds the same end of the line.
 */
core_inline enum chunk_event chunk_extension_byte(struct chunk *chunk, __u8 byte)
{
	__u8 state = chunk->state;

	if (byte == '\r' &&
	    (state == CHUNK_IN_EXTENSION || state == CHUNK_IN_VALUE || state == CHUNK_BEHIND_VALUE))
		return chunk_go(chunk, CHUNK_AT_SIZE_LF);
	if (chunk->length >= CHUNK_EXTENSION_MAX)
		return chunk_bad(chunk);
	chunk->length++;
	if (state == CHUNK_AT_QUOTED)
		return text_is(byte, TEXT_VALUE) ? chunk_go(chunk, CHUNK_IN_QUOTES)
						 : chunk_bad(chunk);
	if (state == CHUNK_IN_QUOTES) {
		if (byte == '"')
			return chunk_go(chunk, CHUNK_BEHIND_VALUE);
		if (byte == '\\')
			return chunk_go(chunk, CHUNK_AT_QUOTED);
		return text_is(byte, TEXT_VALUE) ? CHUNK_MORE : chunk_bad(chunk);
	}
	if (text_is(byte, TEXT_TOKEN) && state != CHUNK_BEHIND_VALUE)
		return chunk_go(chunk, state == CHUNK_AT_EXTENSION ? CHUNK_IN_EXTENSION
				       : state == CHUNK_AT_VALUE   ? CHUNK_IN_VALUE
								   : state);
	if (byte == '"' && state == CHUNK_AT_VALUE)
		return chunk_go(chunk, CHUNK_IN_QUOTES);
	if (byte == '=' && state == CHUNK_IN_EXTENSION)
		return chunk_go(chunk, CHUNK_AT_VALUE);
	if (state == CHUNK_AT_EXTENSION || state == CHUNK_AT_VALUE)
		return chunk_bad(chunk);
	return chunk_expect(chunk, byte, ';', CHUNK_AT_EXTENSION);
}

core_inline enum chunk_event chunk_size_end(struct chunk *chunk, __u8 byte)
{
	if (byte != '\n')
		return chunk_bad(chunk);
	if (!chunk->size) {
		chunk->length = 0;
		return chunk_go(chunk, CHUNK_AT_LINE);
	}
	chunk->skip = chunk->size;
	chunk->state = CHUNK_IN_DATA;
	return CHUNK_SKIP;
}

core_inline enum chunk_event chunk_data_end(struct chunk *chunk, __u8 byte)
{
	chunk->size = 0;
	chunk->digits = 0;
	return chunk_expect(chunk, byte, '\n', CHUNK_IN_SIZE);
}

/* A name that begins like this is refused, whatever follows. */
core_inline bool chunk_is_barred_start(const struct text_word *name)
{
	return text_word_is(name, "content-") || text_word_is(name, "if-") ||
	       text_word_is(name, "proxy-") || text_word_is(name, "x-forwar");
}

/*
 * What must not come behind a body, RFC 9110 6.5.1, nor what would look like it to a server that
 * takes '_' for '-': framing, routing, request modifiers, authentication, and our own X-Key-Id. An
 * application that joins trailers to the head must not find there what the gate has not judged.
 */
core_inline bool chunk_is_barred(const struct text_word *name)
{
	return text_word_is(name, "host") || text_word_is(name, "te") ||
	       text_word_is3(name, "t", "ransfer-", "encoding") || text_word_is(name, "trailer") ||
	       text_word_is2(name, "co", "nnection") || text_word_is2(name, "ke", "ep-alive") ||
	       text_word_is(name, "upgrade") || text_word_is2(name, "http2-", "settings") ||
	       text_word_is(name, "via") || text_word_is2(name, "f", "orwarded") ||
	       text_word_is2(name, "cache", "-control") || text_word_is(name, "expect") ||
	       text_word_is2(name, "max-", "forwards") || text_word_is(name, "pragma") ||
	       text_word_is(name, "range") || text_word_is2(name, "autho", "rization") ||
	       text_word_is2(name, "www-auth", "enticate") || text_word_is(name, "cookie") ||
	       text_word_is2(name, "se", "t-cookie") || text_word_is(name, "x-key-id");
}

core_inline enum chunk_event chunk_line_first(struct chunk *chunk, __u8 byte)
{
	if (byte == '\r')
		return chunk_go(chunk, CHUNK_AT_END_LF);
	if (!chunk->trailers || chunk->fields >= CHUNK_FIELDS_MAX || !text_is(byte, TEXT_TOKEN))
		return chunk_bad(chunk);
	chunk->fields++;
	text_word_clear(&chunk->name);
	text_word_add(&chunk->name, text_name_byte(byte));
	return chunk_go(chunk, CHUNK_IN_NAME);
}

core_inline enum chunk_event chunk_name_byte(struct chunk *chunk, __u8 byte)
{
	if (text_is(byte, TEXT_TOKEN)) {
		text_word_add(&chunk->name, text_name_byte(byte));
		chunk->barred |= chunk_is_barred_start(&chunk->name);
		return CHUNK_MORE;
	}
	if (chunk->barred || chunk_is_barred(&chunk->name))
		return chunk_bad(chunk);
	return chunk_expect(chunk, byte, ':', CHUNK_IN_TRAILER);
}

core_inline enum chunk_event chunk_line_byte(struct chunk *chunk, __u8 byte)
{
	if (chunk->state == CHUNK_AT_END_LF) {
		chunk->state = CHUNK_OVER;
		return byte == '\n' ? CHUNK_END : CHUNK_BAD;
	}
	if (chunk->state != CHUNK_AT_LINE && chunk->length >= CHUNK_TRAILERS_MAX)
		return chunk_bad(chunk);
	chunk->length++;
	switch (chunk->state) {
	case CHUNK_AT_LINE:
		return chunk_line_first(chunk, byte);
	case CHUNK_IN_NAME:
		return chunk_name_byte(chunk, byte);
	case CHUNK_IN_TRAILER:
		return text_is(byte, TEXT_VALUE)
			       ? CHUNK_MORE
			       : chunk_expect(chunk, byte, '\r', CHUNK_AT_LINE_LF);
	default: /* CHUNK_AT_LINE_LF */
		return chunk_expect(chunk, byte, '\n', CHUNK_AT_LINE);
	}
}

core_global int chunk_turn(struct chunk *chunk, __u32 byte)
{
	if (!chunk)
		return CHUNK_BAD;
	byte = core_index(byte, 256);
	switch (chunk->state) {
	case CHUNK_IN_SIZE:
		return chunk_size_byte(chunk, byte);
	case CHUNK_AT_SIZE_LF:
		return chunk_size_end(chunk, byte);
	case CHUNK_AT_DATA_CR:
		return chunk_expect(chunk, byte, '\r', CHUNK_AT_DATA_LF);
	case CHUNK_AT_DATA_LF:
		return chunk_data_end(chunk, byte);
	case CHUNK_IN_DATA: /* was to be skipped */
	case CHUNK_OVER:
		return chunk_bad(chunk);
	default:
		return chunk->state < CHUNK_AT_SIZE_LF ? chunk_extension_byte(chunk, byte)
						       : chunk_line_byte(chunk, byte);
	}
}

/* Take the next byte. */
core_inline enum chunk_event chunk_byte(struct chunk *chunk, __u8 byte)
{
	return chunk_turn(chunk, byte);
}

/* Go on behind the bytes that CHUNK_SKIP named, once they have gone by. */
core_inline enum chunk_event chunk_skipped(struct chunk *chunk)
{
	chunk->skip = 0;
	return chunk->state == CHUNK_IN_DATA ? chunk_go(chunk, CHUNK_AT_DATA_CR) : chunk_bad(chunk);
}

#endif
