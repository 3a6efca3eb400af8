/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The value of Authorization, RFC 9110 11.6.2 and RFC 6750 2.1, one byte at a time.
 */
#ifndef SLUICE_HTTP_AUTHORIZATION_H
#define SLUICE_HTTP_AUTHORIZATION_H

#include "http_head.h"

enum http_authorization_phase {
	HTTP_AUTH_START,
	HTTP_AUTH_SCHEME,
	HTTP_AUTH_GAP, /* between "Bearer" and the token */
	HTTP_AUTH_TOKEN,
	HTTP_AUTH_PADDING,   /* the token's '=' */
	HTTP_AUTH_MALFORMED, /* in something that is not a token68 */
	HTTP_AUTH_END,	     /* in white space behind the token */
	HTTP_AUTH_OTHER,     /* in the credentials of another scheme */
	HTTP_AUTH_SECOND,    /* there, behind a word "Bearer" */
};

core_inline void http_end_token(struct http_head *head)
{
	__u32 length = head->length - 1 - head->credential.at;

	if (head->credential_kind == CREDENTIAL_MALFORMED || length > HTTP_CREDENTIAL_MAX) {
		head->credential_kind = CREDENTIAL_MALFORMED;
		head->credential.at = 0;
		return;
	}
	head->credential_kind = CREDENTIAL_BEARER;
	head->credential.length = length;
}

/* A byte of what follows "Bearer". A second word, or a list, is two credentials: bad. */
core_inline enum http_result http_token_byte(struct http_head *head, __u8 byte)
{
	if (head->phase == HTTP_AUTH_TOKEN && text_is(byte, TEXT_TOKEN68))
		return HTTP_MORE;
	head->plain = 0;
	if (byte == ',')
		return HTTP_BAD;
	if (head->phase == HTTP_AUTH_END)
		return text_is_blank(byte) ? HTTP_MORE : HTTP_BAD;
	if (text_is_blank(byte)) {
		http_end_token(head);
		head->phase = HTTP_AUTH_END;
		return HTTP_MORE;
	}
	if (byte == '=' && head->phase != HTTP_AUTH_MALFORMED) {
		head->phase = HTTP_AUTH_PADDING;
		return HTTP_MORE;
	}
	head->phase = HTTP_AUTH_MALFORMED;
	head->credential_kind = CREDENTIAL_MALFORMED;
	return HTTP_MORE;
}

/* White space behind "Bearer": SP alone, RFC 9110 11.4, so HTAB spoils what follows it. */
core_inline enum http_result http_gap_byte(struct http_head *head, __u8 byte)
{
	if (text_is_blank(byte)) {
		head->unlike |= byte == '\t';
		return HTTP_MORE;
	}
	head->credential.at = head->length - 1;
	if (head->unlike || byte == '=')
		head->credential_kind = CREDENTIAL_MALFORMED;
	head->phase = HTTP_AUTH_TOKEN;
	head->plain = TEXT_TOKEN68;
	return http_token_byte(head, byte);
}

/* Another scheme's credentials are of no concern, unless ours are hidden behind them. */
core_inline enum http_result http_other_scheme_byte(struct http_head *head, __u8 byte)
{
	if (head->phase == HTTP_AUTH_SECOND)
		return text_is_blank(byte) ? HTTP_MORE : HTTP_BAD;
	if (text_is_blank(byte) || byte == ',') {
		head->phase = text_is_blank(byte) && text_word_is(&head->word, "bearer")
				      ? HTTP_AUTH_SECOND
				      : HTTP_AUTH_OTHER;
		text_word_clear(&head->word);
		return HTTP_MORE;
	}
	text_word_add(&head->word, text_lower(byte));
	return HTTP_MORE;
}

core_inline enum http_result http_authorization_byte(struct http_head *head, __u8 byte)
{
	switch (head->phase) {
	case HTTP_AUTH_START:
		if (text_is_blank(byte))
			return HTTP_MORE;
		head->phase = HTTP_AUTH_SCHEME;
		text_word_add(&head->word, text_lower(byte));
		return HTTP_MORE;
	case HTTP_AUTH_SCHEME:
		if (text_is_blank(byte) && text_word_is(&head->word, "bearer")) {
			head->unlike = byte == '\t';
			head->phase = HTTP_AUTH_GAP;
			return HTTP_MORE;
		}
		if (!text_is(byte, TEXT_TOKEN)) {
			head->phase = HTTP_AUTH_OTHER;
			text_word_clear(&head->word);
			return HTTP_MORE;
		}
		text_word_add(&head->word, text_lower(byte));
		return HTTP_MORE;
	case HTTP_AUTH_GAP:
		return http_gap_byte(head, byte);
	case HTTP_AUTH_OTHER:
	case HTTP_AUTH_SECOND:
		return http_other_scheme_byte(head, byte);
	default:
		return http_token_byte(head, byte);
	}
}

/* At the line's CR. */
core_inline void http_authorization_end(struct http_head *head)
{
	head->authorization.at = head->line_at;
	head->authorization.length = head->length - 1 - head->line_at;
	if (head->phase == HTTP_AUTH_TOKEN || head->phase == HTTP_AUTH_PADDING ||
	    head->phase == HTTP_AUTH_MALFORMED)
		http_end_token(head);
}

#endif
