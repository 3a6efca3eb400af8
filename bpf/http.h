/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parser of request heads, RFC 9112 2 to 6 read strictly: what two recipients may understand
 * differently is refused.
 *
 * It takes one byte at a time and keeps nothing but struct http_head, so that its verdict does not
 * depend on how the bytes were cut into segments.
 */
#ifndef SLUICE_HTTP_H
#define SLUICE_HTTP_H

#include "http_field.h"
#include "http_request_line.h"

/*
 * Make ready for a head.
 *
 * limit	bytes from the request line to the empty line, both included, that a head may have
 */
core_inline void http_head_begin(struct http_head *head, __u32 limit)
{
	__builtin_memset(head, 0, sizeof(*head));
	head->limit = limit;
}

/* One empty line may come before the request line, RFC 9112 2.2; it is not part of the head. */
core_inline enum http_result http_first_byte(struct http_head *head, __u8 byte)
{
	if (byte != '\r')
		return http_method_first(head, byte);
	head->limit += 2;
	http_enter(head, HTTP_AT_EMPTY_LINE);
	return HTTP_MORE;
}

/* White space here is obs-fold, or comes before the first field: bad either way. */
core_inline enum http_result http_line_first(struct http_head *head, __u8 byte)
{
	if (byte == '\r') {
		http_enter(head, HTTP_AT_HEAD_END);
		return HTTP_MORE;
	}
	if (!text_is(byte, TEXT_TOKEN))
		return HTTP_BAD;
	if (head->fields >= HTTP_FIELDS_MAX)
		return HTTP_TOO_LARGE;
	head->fields++;
	head->line_at = head->length - 1;
	http_clear_name(head);
	http_take_name_byte(head, byte);
	http_enter(head, HTTP_IN_NAME);
	return HTTP_MORE;
}

/* Behind a name, the rest of which http_head_byte() has taken. */
core_inline enum http_result http_name_end(struct http_head *head, __u8 byte)
{
	return byte == ':' ? http_field_begin(head) : HTTP_BAD;
}

core_inline enum http_result http_expect_lf(struct http_head *head, __u8 byte, enum http_state next)
{
	if (byte != '\n')
		return HTTP_BAD;
	http_enter(head, next);
	return HTTP_MORE;
}

/* What could only be said of the whole head. */
core_inline enum http_result http_head_end(struct http_head *head, __u8 byte)
{
	if (byte != '\n' || (head->minor && !(head->notes & HTTP_NOTE_HOST)))
		return HTTP_BAD;
	head->persistent = !(head->notes & HTTP_NOTE_CLOSE) &&
			   (head->minor || head->notes & HTTP_NOTE_KEEP_ALIVE);
	return head->notes & HTTP_NOTE_UNEXPECTED ? HTTP_EXPECTATION : HTTP_DONE;
}

core_inline enum http_result http_request_line_byte(struct http_head *head, __u8 byte)
{
	switch (head->state) {
	case HTTP_AT_START:
		return http_first_byte(head, byte);
	case HTTP_AT_EMPTY_LINE:
		return http_expect_lf(head, byte, HTTP_AT_METHOD);
	case HTTP_AT_METHOD:
		return http_method_first(head, byte);
	case HTTP_IN_METHOD:
		return http_method_byte(head, byte);
	case HTTP_AT_TARGET:
		return http_target_first(head, byte);
	case HTTP_IN_TARGET:
	case HTTP_IN_ASTERISK:
		return http_target_end(head, byte);
	case HTTP_IN_SCHEME:
		return http_scheme_byte(head, byte);
	case HTTP_IN_SLASHES:
		return http_slash(head, byte);
	case HTTP_IN_AUTHORITY:
		return http_authority_byte(head, byte);
	case HTTP_IN_VERSION:
		return http_version_byte(head, byte);
	case HTTP_AT_REQUEST_END:
		return http_request_end(head, byte);
	default: /* HTTP_AT_SIMPLE_END */
		return byte == '\n' ? HTTP_VERSION : HTTP_BAD;
	}
}

core_inline enum http_result http_field_byte(struct http_head *head, __u8 byte)
{
	switch (head->state) {
	case HTTP_IN_NAME:
		return http_name_end(head, byte);
	case HTTP_IN_SPECIAL:
		if (byte == '\r')
			return http_field_end(head);
		return http_special_byte(head, byte);
	case HTTP_IN_VALUE:
		return byte == '\r' ? http_field_end(head) : HTTP_BAD;
	case HTTP_AT_HEAD_END:
		return http_head_end(head, byte);
	default: /* HTTP_OVER */
		return HTTP_BAD;
	}
}

/* Pass on what a step said; nothing may follow a final result. */
core_inline enum http_result http_over(struct http_head *head, enum http_result result)
{
	if (result != HTTP_MORE)
		http_enter(head, HTTP_OVER);
	return result;
}

/* A byte that changes the state, and is not dealt with in http_head_byte(). */
core_global int http_turn(struct http_head *head, __u32 byte)
{
	if (!head)
		return HTTP_BAD;
	byte = core_index(byte, 256);
	if (head->state < HTTP_AT_LINE)
		return http_over(head, http_request_line_byte(head, byte));
	return http_over(head, http_field_byte(head, byte));
}

/*
 * Take the next byte of a head. After a final result the parser must be begun anew; a further byte
 * is answered HTTP_BAD.
 *
 * What every line has is done here, for speed; http_turn() does the rest.
 */
core_inline enum http_result http_head_byte(struct http_head *head, __u8 byte)
{
	__u8 class = text_class[byte];

	if (head->length >= head->limit)
		return head->state == HTTP_OVER ? HTTP_BAD : HTTP_TOO_LARGE;
	head->length++;
	if (class & head->plain)
		return HTTP_MORE;
	switch (head->state) {
	case HTTP_IN_NAME:
		if (!(class & TEXT_TOKEN))
			return http_turn(head, byte);
		http_take_name_byte(head, byte);
		return HTTP_MORE;
	case HTTP_IN_VALUE:
		if (byte != '\r' || head->field != HTTP_FIELD_OTHER)
			return http_turn(head, byte);
		http_enter(head, HTTP_AT_LINE_END);
		return HTTP_MORE;
	case HTTP_AT_LINE_END:
		return http_over(head, http_expect_lf(head, byte, HTTP_AT_LINE));
	case HTTP_AT_LINE:
		return http_over(head, http_line_first(head, byte));
	default:
		return http_turn(head, byte);
	}
}

#endif
