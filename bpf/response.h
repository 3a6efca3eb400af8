/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The application's answers, followed byte by byte: where headers go in, and where an answer ends.
 *
 * Reads as a client would (RFC 9112 4, 6 and 7.1, a bare LF for CRLF included): the application is
 * trusted, and its bytes go out whatever is in them. An answer whose end cannot be told for certain
 * is taken to last until the connection closes; so is one that is not HTTP/1.x.
 */
#ifndef SLUICE_RESPONSE_H
#define SLUICE_RESPONSE_H

#include "response_head.h"

/* Behind the LF of a chunk's first line. */
core_inline enum response_event response_size_end(struct response *response)
{
	if (!response->index)
		return response_lost(response);
	if (!response->number)
		return response_go(response, RESPONSE_AT_TRAILER);
	response->skip = response->number;
	response->state = RESPONSE_IN_DATA;
	return RESPONSE_SKIP;
}

core_inline enum response_event response_size_byte(struct response *response, __u8 byte)
{
	__u8 lower = text_lower(byte);
	__u8 digit = text_is_digit(byte) ? byte - '0' : lower - 'a' + 10;

	if (text_is_digit(byte) || (lower >= 'a' && lower <= 'f')) {
		/* A size is at most 2^63 - 1. */
		if (response->number >> 59)
			return response_lost(response);
		response->number = response->number << 4 | digit;
		response->index = 1;
		return RESPONSE_MORE;
	}
	if (byte == '\n')
		return response_size_end(response);
	if (byte == '\r')
		return response_go(response, RESPONSE_AT_SIZE_END);
	if (byte == ';' || text_is_blank(byte))
		return response_go(response, RESPONSE_IN_EXTENSION);
	return response_lost(response);
}

core_inline enum response_event response_data_end(struct response *response, __u8 byte)
{
	if (byte == '\r' && response->state == RESPONSE_AT_DATA_END)
		return response_go(response, RESPONSE_AT_DATA_LF);
	response->number = 0;
	response->index = 0;
	return response_expect_lf(response, byte, RESPONSE_IN_SIZE);
}

core_inline enum response_event response_trailer_byte(struct response *response, __u8 byte)
{
	if (response->state == RESPONSE_IN_TRAILER)
		return byte == '\n' ? response_go(response, RESPONSE_AT_TRAILER) : RESPONSE_MORE;
	if (byte == '\n')
		return response_end(response);
	if (response->state == RESPONSE_AT_TRAILER_LF)
		return response_lost(response);
	return response_go(response, byte == '\r' ? RESPONSE_AT_TRAILER_LF : RESPONSE_IN_TRAILER);
}

core_inline enum response_event response_chunk_byte(struct response *response, __u8 byte)
{
	switch (response->state) {
	case RESPONSE_IN_SIZE:
		return response_size_byte(response, byte);
	case RESPONSE_IN_EXTENSION:
		return byte == '\n' ? response_size_end(response) : RESPONSE_MORE;
	case RESPONSE_AT_SIZE_END:
		return byte == '\n' ? response_size_end(response) : response_lost(response);
	case RESPONSE_AT_DATA_END:
	case RESPONSE_AT_DATA_LF:
		return response_data_end(response, byte);
	case RESPONSE_AT_TRAILER:
	case RESPONSE_IN_TRAILER:
	case RESPONSE_AT_TRAILER_LF:
		return response_trailer_byte(response, byte);
	default: /* RESPONSE_OVER, or a body that was to be skipped */
		return response_lost(response);
	}
}

core_global int response_turn(struct response *response, __u32 byte)
{
	if (!response)
		return RESPONSE_UNTIL_CLOSE;
	if (response->state < RESPONSE_IN_BODY)
		return response_head_byte(response, byte);
	return response_chunk_byte(response, byte);
}

/* Take the next byte. */
core_inline enum response_event response_byte(struct response *response, __u8 byte)
{
	if (response->state == RESPONSE_IN_VALUE && byte != '\n')
		return RESPONSE_MORE;
	if (response->state == RESPONSE_IN_NAME && text_is(byte, TEXT_TOKEN)) {
		text_word_add(&response->word, text_lower(byte));
		return RESPONSE_MORE;
	}
	return response_turn(response, byte);
}

/*
 * Go on behind the bytes that RESPONSE_SKIP named, once they have gone by.
 *
 * Returns RESPONSE_END where they were all of the body, RESPONSE_MORE between chunks.
 */
core_inline enum response_event response_skipped(struct response *response)
{
	response->skip = 0;
	if (response->state == RESPONSE_IN_BODY)
		return response_end(response);
	if (response->state == RESPONSE_IN_DATA)
		return response_go(response, RESPONSE_AT_DATA_END);
	return response_lost(response);
}

#endif
