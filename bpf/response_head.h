/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An answer as it is followed: what was found, where it stands, and the reading of its head.
 * response.h is the interface.
 */
#ifndef SLUICE_RESPONSE_HEAD_H
#define SLUICE_RESPONSE_HEAD_H

#include "text.h"

/* What was reached with a byte. */
enum response_event {
	RESPONSE_MORE,	      /* nothing of note */
	RESPONSE_STATUS,      /* the LF of a final answer's status line: headers go in behind it */
	RESPONSE_SKIP,	      /* `skip` bytes follow that need not be looked at */
	RESPONSE_END,	      /* the answer is complete */
	RESPONSE_UNTIL_CLOSE, /* all that follows belongs to this answer */
	RESPONSE_SWITCHED,    /* the head of a 101 is complete: what follows is not HTTP */
};

enum response_state {
	RESPONSE_IN_STATUS, /* up to the status code */
	RESPONSE_IN_REASON,
	RESPONSE_AT_LINE,
	RESPONSE_IN_NAME,
	RESPONSE_IN_VALUE,
	RESPONSE_IN_LENGTH,
	RESPONSE_IN_CODING,
	RESPONSE_AT_HEAD_END, /* behind its CR */
	RESPONSE_IN_BODY,     /* skipped */
	RESPONSE_IN_SIZE,     /* of a chunk */
	RESPONSE_IN_EXTENSION,
	RESPONSE_AT_SIZE_END, /* behind its CR */
	RESPONSE_IN_DATA,     /* skipped */
	RESPONSE_AT_DATA_END, /* before CR or LF */
	RESPONSE_AT_DATA_LF,  /* behind its CR */
	RESPONSE_AT_TRAILER,  /* first byte of a line behind the last chunk */
	RESPONSE_IN_TRAILER,
	RESPONSE_AT_TRAILER_LF, /* behind the CR of the last line */
	RESPONSE_OVER,
};

/* Where in a value that frames the body. */
enum response_phase {
	RESPONSE_VALUE_START,
	RESPONSE_VALUE_INSIDE,
	RESPONSE_VALUE_END, /* in white space behind it */
	RESPONSE_VALUE_CR,
};

struct response {
	__u64 skip;   /* set with RESPONSE_SKIP, else 0; the caller may count it down */
	__u64 number; /* of a Content-Length or chunk size, as far as it was read */
	__u64 length; /* of Content-Length */
	struct text_word word;
	__u16 status;
	__u8 state; /* enum response_state */
	__u8 phase;
	__u8 index;    /* bytes of the status line, digits of a chunk's size */
	__u8 minor;    /* HTTP/1.minor */
	__u8 to_head;  /* the request's method was HEAD */
	__u8 framed;   /* the field before this line was one that frames the body */
	__u8 measured; /* there is a Content-Length */
	__u8 coded;    /* there is a Transfer-Encoding */
	__u8 chunked;  /* its last coding is chunked */
	__u8 reserved[5];
};

_Static_assert(sizeof(struct response) <= 64, "a response is part of every connection's record");

/*
 * Make ready for the answer to a request.
 *
 * to_head_request	its method was HEAD: there is no body, whatever the fields say
 */
core_inline void response_begin(struct response *response, bool to_head_request)
{
	__builtin_memset(response, 0, sizeof(*response));
	response->to_head = to_head_request;
}

/* Whether a byte of it was read; of what came before a final answer, 1xx, none was. */
core_inline bool response_has_begun(const struct response *response)
{
	return response->state != RESPONSE_IN_STATUS || response->index;
}

core_inline enum response_event response_lost(struct response *response)
{
	response->state = RESPONSE_OVER;
	return RESPONSE_UNTIL_CLOSE;
}

core_inline enum response_event response_end(struct response *response)
{
	response->state = RESPONSE_OVER;
	return RESPONSE_END;
}

core_inline enum response_event response_go(struct response *response, enum response_state state)
{
	response->state = state;
	return RESPONSE_MORE;
}

/* Go to state with the LF that must come now. */
core_inline enum response_event response_expect_lf(struct response *response, __u8 byte,
						   enum response_state state)
{
	return byte == '\n' ? response_go(response, state) : response_lost(response);
}

/* "HTTP/1." DIGIT SP 3DIGIT, then a space and a reason, or the line's end. */
core_inline enum response_event response_status_byte(struct response *response, __u8 byte)
{
	const __u64 start = TEXT_PART("HTTP/1.");
	__u8 index = response->index++;

	if (index < 7)
		return byte == (__u8)(start >> (6 - index) * 8) ? RESPONSE_MORE
								: response_lost(response);
	if (index == 8)
		return byte == ' ' ? RESPONSE_MORE : response_lost(response);
	if (!text_is_digit(byte))
		return response_lost(response);
	if (index == 7) {
		response->minor = byte - '0';
		return RESPONSE_MORE;
	}
	response->status = response->status * 10 + (byte - '0');
	if (index == 11)
		response->state = RESPONSE_IN_REASON;
	return RESPONSE_MORE;
}

core_inline enum response_event response_reason_byte(struct response *response, __u8 byte)
{
	bool follows_status = response->index == 12;

	response->index = 13;
	if (response->status < 100 ||
	    (follows_status && byte != ' ' && byte != '\r' && byte != '\n'))
		return response_lost(response);
	if (byte != '\n')
		return RESPONSE_MORE;
	response->state = RESPONSE_AT_LINE;
	return response->status < 200 ? RESPONSE_MORE : RESPONSE_STATUS;
}

/* Message body length, RFC 9112 6.3. */
core_inline enum response_event response_head_end(struct response *response)
{
	if (response->status == 101) {
		response->state = RESPONSE_OVER;
		return RESPONSE_SWITCHED;
	}
	if (response->status < 200) {
		response_begin(response, response->to_head);
		return RESPONSE_MORE;
	}
	if (response->to_head || response->status == 204 || response->status == 304)
		return response_end(response);
	if (response->coded) {
		if (response->measured || !response->minor || !response->chunked)
			return response_lost(response);
		response->number = 0;
		response->index = 0;
		return response_go(response, RESPONSE_IN_SIZE);
	}
	if (!response->measured)
		return response_lost(response);
	if (!response->length)
		return response_end(response);
	response->skip = response->length;
	response->state = RESPONSE_IN_BODY;
	return RESPONSE_SKIP;
}

/* A line that begins with white space continues the one before it (obs-fold). */
core_inline enum response_event response_line_first(struct response *response, __u8 byte)
{
	if (byte == '\n')
		return response_head_end(response);
	if (byte == '\r')
		return response_go(response, RESPONSE_AT_HEAD_END);
	if (text_is_blank(byte) && !response->framed)
		return response_go(response, RESPONSE_IN_VALUE);
	if (!text_is(byte, TEXT_TOKEN))
		return response_lost(response);
	text_word_clear(&response->word);
	text_word_add(&response->word, text_lower(byte));
	return response_go(response, RESPONSE_IN_NAME);
}

core_inline enum response_event response_name_byte(struct response *response, __u8 byte)
{
	if (text_is(byte, TEXT_TOKEN)) {
		text_word_add(&response->word, text_lower(byte));
		return RESPONSE_MORE;
	}
	if (byte != ':')
		return response_lost(response);
	response->framed = true;
	response->phase = RESPONSE_VALUE_START;
	response->number = 0;
	if (text_word_is2(&response->word, "conten", "t-length")) {
		response->state = RESPONSE_IN_LENGTH;
	} else if (text_word_is3(&response->word, "t", "ransfer-", "encoding")) {
		response->state = RESPONSE_IN_CODING;
	} else {
		response->framed = false;
		response->state = RESPONSE_IN_VALUE;
	}
	text_word_clear(&response->word);
	return RESPONSE_MORE;
}

/* True for white space around a value that frames the body. */
core_inline bool response_skip_blank(struct response *response, __u8 byte)
{
	if (!text_is_blank(byte))
		return false;
	if (response->phase == RESPONSE_VALUE_INSIDE)
		response->phase = RESPONSE_VALUE_END;
	return true;
}

/* A repeated Content-Length that says the same is let pass, as every client does. */
core_inline enum response_event response_length_end(struct response *response)
{
	if (response->phase == RESPONSE_VALUE_START ||
	    (response->measured && response->length != response->number))
		return response_lost(response);
	response->measured = true;
	response->length = response->number;
	return response_go(response, RESPONSE_AT_LINE);
}

core_inline enum response_event response_length_byte(struct response *response, __u8 byte)
{
	const __u64 tenth = 922337203685477580; /* of 2^63 - 1, whose last digit is 7 */

	if (byte == '\n')
		return response_length_end(response);
	if (response->phase == RESPONSE_VALUE_CR)
		return response_lost(response);
	if (byte == '\r') {
		if (response->phase == RESPONSE_VALUE_START)
			return response_lost(response);
		response->phase = RESPONSE_VALUE_CR;
		return RESPONSE_MORE;
	}
	if (response_skip_blank(response, byte))
		return RESPONSE_MORE;
	if (!text_is_digit(byte) || response->phase == RESPONSE_VALUE_END ||
	    response->number > tenth || (response->number == tenth && byte > '7'))
		return response_lost(response);
	response->phase = RESPONSE_VALUE_INSIDE;
	response->number = response->number * 10 + (byte - '0');
	return RESPONSE_MORE;
}

/* A coding of Transfer-Encoding; nothing may come behind chunked. */
core_inline bool response_take_coding(struct response *response)
{
	response->coded = true;
	if (text_word_is_empty(&response->word))
		return true;
	if (response->chunked)
		return false;
	response->chunked = text_word_is(&response->word, "chunked");
	text_word_clear(&response->word);
	response->phase = RESPONSE_VALUE_START;
	return true;
}

core_inline enum response_event response_coding_byte(struct response *response, __u8 byte)
{
	if (byte == '\n')
		return response_take_coding(response) ? response_go(response, RESPONSE_AT_LINE)
						      : response_lost(response);
	if (response->phase == RESPONSE_VALUE_CR)
		return response_lost(response);
	if (byte == '\r') {
		response->phase = RESPONSE_VALUE_CR;
		return RESPONSE_MORE;
	}
	if (byte == ',')
		return response_take_coding(response) ? RESPONSE_MORE : response_lost(response);
	if (response_skip_blank(response, byte))
		return RESPONSE_MORE;
	if (!text_is(byte, TEXT_TOKEN) || response->phase == RESPONSE_VALUE_END)
		return response_lost(response);
	response->phase = RESPONSE_VALUE_INSIDE;
	text_word_add(&response->word, text_lower(byte));
	return RESPONSE_MORE;
}

core_inline enum response_event response_head_byte(struct response *response, __u8 byte)
{
	switch (response->state) {
	case RESPONSE_IN_STATUS:
		return response_status_byte(response, byte);
	case RESPONSE_IN_REASON:
		return response_reason_byte(response, byte);
	case RESPONSE_AT_LINE:
		return response_line_first(response, byte);
	case RESPONSE_IN_NAME:
		return response_name_byte(response, byte);
	case RESPONSE_IN_VALUE: /* byte is LF */
		return response_go(response, RESPONSE_AT_LINE);
	case RESPONSE_IN_LENGTH:
		return response_length_byte(response, byte);
	case RESPONSE_IN_CODING:
		return response_coding_byte(response, byte);
	default: /* RESPONSE_AT_HEAD_END */
		return byte == '\n' ? response_head_end(response) : response_lost(response);
	}
}

#endif
