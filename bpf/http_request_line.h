/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The request line, RFC 9112 3: method, target and version, one byte at a time.
 */
#ifndef SLUICE_HTTP_REQUEST_LINE_H
#define SLUICE_HTTP_REQUEST_LINE_H

#include "http_host.h"

core_inline enum http_result http_method_first(struct http_head *head, __u8 byte)
{
	if (!text_is(byte, TEXT_TOKEN))
		return HTTP_BAD;
	head->line_at = head->length - 1;
	text_word_clear(&head->word);
	text_word_add(&head->word, byte);
	http_enter(head, HTTP_IN_METHOD);
	return HTTP_MORE;
}

/* The method's name is case-sensitive, RFC 9110 9.1. What follows a CONNECT is opaque: bad. */
core_inline enum http_result http_method_byte(struct http_head *head, __u8 byte)
{
	if (text_is(byte, TEXT_TOKEN)) {
		text_word_add(&head->word, byte);
		return HTTP_MORE;
	}
	if (byte != ' ' || text_word_is(&head->word, "CONNECT"))
		return HTTP_BAD;
	head->is_head_method = text_word_is(&head->word, "HEAD");
	if (text_word_is(&head->word, "OPTIONS"))
		head->notes |= HTTP_NOTE_OPTIONS;
	http_enter(head, HTTP_AT_TARGET);
	return HTTP_MORE;
}

core_inline enum http_result http_target_first(struct http_head *head, __u8 byte)
{
	text_word_clear(&head->word);
	if (byte == '/') {
		http_enter(head, HTTP_IN_TARGET);
	} else if (byte == '*') {
		head->notes |= HTTP_NOTE_ASTERISK;
		http_enter(head, HTTP_IN_ASTERISK);
	} else if (text_is(byte, TEXT_ALNUM)) {
		text_word_add(&head->word, text_lower(byte));
		http_enter(head, HTTP_IN_SCHEME);
	} else {
		return HTTP_BAD;
	}
	return HTTP_MORE;
}

/* Behind the target: a version, or the end of a line of HTTP/0.9. */
core_inline enum http_result http_target_end(struct http_head *head, __u8 byte)
{
	text_word_clear(&head->word);
	if (byte == ' ')
		http_enter(head, HTTP_IN_VERSION);
	else if (byte == '\r')
		http_enter(head, HTTP_AT_SIMPLE_END);
	else
		return HTTP_BAD;
	return HTTP_MORE;
}

/* Only http and https name a resource that a request can be about here. */
core_inline enum http_result http_scheme_byte(struct http_head *head, __u8 byte)
{
	if (text_is(byte, TEXT_ALNUM)) {
		text_word_add(&head->word, text_lower(byte));
		return HTTP_MORE;
	}
	if (byte != ':' ||
	    (!text_word_is(&head->word, "http") && !text_word_is(&head->word, "https")))
		return HTTP_BAD;
	text_word_clear(&head->word);
	http_enter(head, HTTP_IN_SLASHES);
	return HTTP_MORE;
}

core_inline enum http_result http_slash(struct http_head *head, __u8 byte)
{
	if (byte != '/')
		return HTTP_BAD;
	if (text_word_is_empty(&head->word)) {
		text_word_add(&head->word, byte);
		return HTTP_MORE;
	}
	head->notes |= HTTP_NOTE_ABSOLUTE;
	head->phase = HTTP_HOST_START;
	http_enter(head, HTTP_IN_AUTHORITY);
	return HTTP_MORE;
}

/* Kept in lower case, to be compared with Host. Userinfo is no host: bad. */
core_inline enum http_result http_authority_byte(struct http_head *head, __u8 byte)
{
	if (byte == '/' || byte == '?' || byte == ' ' || byte == '\r') {
		if (!http_host_is_whole(head))
			return HTTP_BAD;
		if (byte == ' ' || byte == '\r')
			return http_target_end(head, byte);
		http_enter(head, HTTP_IN_TARGET);
		return HTTP_MORE;
	}
	if (!http_host_byte(head, byte) || head->authority_length >= HTTP_AUTHORITY_MAX)
		return HTTP_BAD;
	head->authority[core_index(head->authority_length, HTTP_AUTHORITY_MAX)] = text_lower(byte);
	head->authority_length++;
	return HTTP_MORE;
}

core_inline enum http_result http_version_byte(struct http_head *head, __u8 byte)
{
	if (byte == '\r') {
		http_enter(head, HTTP_AT_REQUEST_END);
		return HTTP_MORE;
	}
	if (!text_is(byte, TEXT_ALNUM) && byte != '/' && byte != '.')
		return HTTP_BAD;
	text_word_add(&head->word, byte);
	return head->word.part[1] ? HTTP_BAD : HTTP_MORE;
}

/*
 * HTTP-version = "HTTP/" DIGIT "." DIGIT, RFC 9112 2.3. A version that is none of ours comes before
 * a "*" that no method but OPTIONS may have: HTTP/2 begins with `PRI * HTTP/2.0`.
 */
core_inline enum http_result http_request_end(struct http_head *head, __u8 byte)
{
	__u64 version = head->word.part[0];
	__u8 major = version >> 16, minor = version;

	if (byte != '\n' || version >> 24 != TEXT_PART("HTTP/") || !text_is_digit(major) ||
	    (version >> 8 & 0xff) != '.' || !text_is_digit(minor))
		return HTTP_BAD;
	if (major != '1' || minor > '1')
		return HTTP_VERSION;
	if (head->notes & HTTP_NOTE_ASTERISK && !(head->notes & HTTP_NOTE_OPTIONS))
		return HTTP_BAD;
	head->minor = minor - '0';
	http_enter(head, HTTP_AT_LINE);
	return HTTP_MORE;
}

#endif
