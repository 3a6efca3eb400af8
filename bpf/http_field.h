/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fields that concern the gate: their names, and their values one byte at a time.
 */
#ifndef SLUICE_HTTP_FIELD_H
#define SLUICE_HTTP_FIELD_H

#include "http_authorization.h"
#include "http_host.h"

/* Where in a value of one word, and in an element of a list. */
enum http_word_phase {
	HTTP_WORD_START,
	HTTP_WORD_INSIDE,
	HTTP_WORD_VERSION, /* behind the '/' of a protocol in Upgrade */
	HTTP_WORD_END,	   /* in white space behind it */
};

/* Fields that may stand once. A second one is bad, but for Expect: it cannot be met. */
core_inline enum http_result http_note_once(struct http_head *head, __u16 note)
{
	if (head->notes & note)
		return HTTP_BAD;
	head->notes |= note;
	return HTTP_MORE;
}

/* What frames the body: exactly one field, under its true name, RFC 9112 6.1 to 6.3. */
core_inline enum http_result http_note_framing(struct http_head *head, __u16 note)
{
	if (head->unlike || head->notes & (HTTP_NOTE_LENGTH | HTTP_NOTE_CODING))
		return HTTP_BAD;
	if (note == HTTP_NOTE_CODING && !head->minor)
		return HTTP_BAD;
	head->notes |= note;
	return HTTP_MORE;
}

/* At the colon. */
core_inline enum http_result http_field_begin(struct http_head *head)
{
	head->field = http_named_field(&head->word);
	head->phase = 0;
	text_word_clear(&head->word);
	http_enter(head, head->field == HTTP_FIELD_OTHER || head->field == HTTP_FIELD_IDENTITY
				 ? HTTP_IN_VALUE
				 : HTTP_IN_SPECIAL);
	switch (head->field) {
	case HTTP_FIELD_HOST:
		return http_note_once(head, HTTP_NOTE_HOST);
	case HTTP_FIELD_AUTHORIZATION:
		return http_note_once(head, HTTP_NOTE_AUTHORIZATION);
	case HTTP_FIELD_LENGTH:
		return http_note_framing(head, HTTP_NOTE_LENGTH);
	case HTTP_FIELD_CODING:
		return http_note_framing(head, HTTP_NOTE_CODING);
	case HTTP_FIELD_EXPECT:
		if (head->notes & HTTP_NOTE_EXPECT)
			head->notes |= HTTP_NOTE_UNEXPECTED;
		head->notes |= HTTP_NOTE_EXPECT;
		return HTTP_MORE;
	case HTTP_FIELD_HTTP2:
		return HTTP_BAD;
	default:
		return HTTP_MORE;
	}
}

core_inline enum http_result http_host_value_byte(struct http_head *head, __u8 byte)
{
	if (text_is_blank(byte)) {
		if (head->phase == HTTP_HOST_START)
			return HTTP_MORE;
		if (!http_host_is_whole(head))
			return HTTP_BAD;
		head->plain = 0;
		head->phase = HTTP_HOST_END;
		return HTTP_MORE;
	}
	if (!http_host_byte(head, byte))
		return HTTP_BAD;
	if (!(head->notes & HTTP_NOTE_ABSOLUTE)) {
		head->plain = head->phase == HTTP_HOST_NAME ? TEXT_HOST : 0;
		return HTTP_MORE;
	}
	if (head->host_index >= head->authority_length ||
	    head->authority[core_index(head->host_index, HTTP_AUTHORITY_MAX)] != text_lower(byte))
		return HTTP_BAD;
	head->host_index++;
	return HTTP_MORE;
}

/* 1*DIGIT without leading zeros, at most 2^63 - 1. */
core_inline enum http_result http_length_byte(struct http_head *head, __u8 byte)
{
	const __u64 tenth = 922337203685477580; /* of 2^63 - 1, whose last digit is 7 */
	__u8 digit = byte - '0';

	if (text_is_blank(byte)) {
		if (head->phase == HTTP_WORD_INSIDE)
			head->phase = HTTP_WORD_END;
		return HTTP_MORE;
	}
	if (!text_is_digit(byte) || head->phase == HTTP_WORD_END)
		return HTTP_BAD;
	if (head->phase == HTTP_WORD_INSIDE && !head->content_length)
		return HTTP_BAD;
	if (head->content_length > tenth || (head->content_length == tenth && digit > 7))
		return HTTP_BAD;
	head->content_length = head->content_length * 10 + digit;
	head->phase = HTTP_WORD_INSIDE;
	return HTTP_MORE;
}

/* One word with white space around it. What is more than a word is read as another word. */
core_inline enum http_result http_word_byte(struct http_head *head, __u8 byte)
{
	if (text_is_blank(byte)) {
		if (head->phase == HTTP_WORD_INSIDE)
			head->phase = HTTP_WORD_END;
		return HTTP_MORE;
	}
	if (head->phase == HTTP_WORD_END)
		text_word_add(&head->word, ' ');
	head->phase = HTTP_WORD_INSIDE;
	text_word_add(&head->word, text_lower(byte));
	return HTTP_MORE;
}

/*
 * An option of Connection. One that names a field tells whoever forwards the request to take that
 * field out, RFC 9110 7.6.1: of framing, authorization and identity that is an attack.
 */
core_inline enum http_result http_connection_option(struct http_head *head)
{
	switch (http_named_field(&head->word)) {
	case HTTP_FIELD_OTHER:
	case HTTP_FIELD_UPGRADE:
		break;
	default:
		return HTTP_BAD;
	}
	if (head->unlike)
		return HTTP_MORE;
	if (text_word_is(&head->word, "close"))
		head->notes |= HTTP_NOTE_CLOSE;
	if (text_word_is2(&head->word, "ke", "ep-alive"))
		head->notes |= HTTP_NOTE_KEEP_ALIVE;
	return HTTP_MORE;
}

/* What could carry further requests where the gate no longer reads them, in the clear or not. */
core_inline enum http_result http_upgrade_protocol(struct http_head *head)
{
	if (text_word_is(&head->word, "h2c") || text_word_is(&head->word, "h2") ||
	    text_word_is(&head->word, "http") || text_word_is(&head->word, "tls"))
		return HTTP_BAD;
	return HTTP_MORE;
}

core_inline enum http_result http_list_element(struct http_head *head)
{
	if (head->field == HTTP_FIELD_CONNECTION)
		return http_connection_option(head);
	return http_upgrade_protocol(head);
}

/* A list of tokens, RFC 9110 5.6.1; in Upgrade, a token may have a version behind '/'. */
core_inline enum http_result http_list_byte(struct http_head *head, __u8 byte)
{
	if (text_is(byte, TEXT_TOKEN) && head->phase != HTTP_WORD_END) {
		if (head->phase == HTTP_WORD_VERSION)
			return HTTP_MORE;
		head->phase = HTTP_WORD_INSIDE;
		http_take_name_byte(head, byte);
		return HTTP_MORE;
	}
	if (text_is_blank(byte)) {
		if (head->phase != HTTP_WORD_START)
			head->phase = HTTP_WORD_END;
		return HTTP_MORE;
	}
	if (byte == '/' && head->phase == HTTP_WORD_INSIDE && head->field == HTTP_FIELD_UPGRADE) {
		head->phase = HTTP_WORD_VERSION;
		return HTTP_MORE;
	}
	if (byte != ',' || http_list_element(head) != HTTP_MORE)
		return HTTP_BAD;
	head->phase = HTTP_WORD_START;
	http_clear_name(head);
	return HTTP_MORE;
}

/* A byte of a value that concerns the gate: nothing beyond ASCII, whatever the field. */
core_inline enum http_result http_special_byte(struct http_head *head, __u8 byte)
{
	if (!text_is(byte, TEXT_VALUE) || byte >= 0x80)
		return HTTP_BAD;
	switch (head->field) {
	case HTTP_FIELD_HOST:
		return http_host_value_byte(head, byte);
	case HTTP_FIELD_LENGTH:
		return http_length_byte(head, byte);
	case HTTP_FIELD_CODING:
	case HTTP_FIELD_EXPECT:
		return http_word_byte(head, byte);
	case HTTP_FIELD_AUTHORIZATION:
		return http_authorization_byte(head, byte);
	default:
		return http_list_byte(head, byte);
	}
}

core_inline enum http_result http_note_identity(struct http_head *head)
{
	struct http_span *span;

	if (head->foreign_identities >= HTTP_FOREIGN_MAX)
		return HTTP_BAD;
	span = &head->foreign_identity[core_index(head->foreign_identities, HTTP_FOREIGN_MAX)];
	span->at = head->line_at;
	span->length = head->length - 1 - head->line_at;
	head->foreign_identities++;
	return HTTP_MORE;
}

/* At the CR behind a value: what could only be said of all of it. */
core_inline enum http_result http_field_end(struct http_head *head)
{
	http_enter(head, HTTP_AT_LINE_END);
	switch (head->field) {
	case HTTP_FIELD_HOST:
		return http_host_is_whole(head) && head->host_index == head->authority_length
			       ? HTTP_MORE
			       : HTTP_BAD;
	case HTTP_FIELD_LENGTH:
		return head->phase == HTTP_WORD_START ? HTTP_BAD : HTTP_MORE;
	case HTTP_FIELD_CODING:
		head->chunked = true;
		return text_word_is(&head->word, "chunked") ? HTTP_MORE : HTTP_BAD;
	case HTTP_FIELD_EXPECT:
		if (!text_word_is2(&head->word, "100-", "continue"))
			head->notes |= HTTP_NOTE_UNEXPECTED;
		return HTTP_MORE;
	case HTTP_FIELD_AUTHORIZATION:
		http_authorization_end(head);
		return HTTP_MORE;
	case HTTP_FIELD_UPGRADE:
		/* HTTP/1.0 knows no Upgrade, RFC 9110 7.8. */
		head->upgrade = head->minor;
		return http_upgrade_protocol(head);
	case HTTP_FIELD_CONNECTION:
		return http_connection_option(head);
	case HTTP_FIELD_IDENTITY:
		return http_note_identity(head);
	default:
		return HTTP_MORE;
	}
}

#endif
