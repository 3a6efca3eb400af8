/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A host with an optional port, as it stands in Host and in an absolute-form target.
 *
 * Of RFC 3986's grammar only what names a host in practice is passed: letters, digits and
 * "-._~", an IPv4 address, an IPv6 address in brackets, and a port of digits. What else the
 * grammar allows ('%', ',', '&' and so on) is read differently by different servers.
 */
#ifndef SLUICE_HTTP_HOST_H
#define SLUICE_HTTP_HOST_H

#include "http_head.h"

enum http_host_phase {
	HTTP_HOST_START,
	HTTP_HOST_NAME,
	HTTP_HOST_LITERAL_START, /* behind '[' */
	HTTP_HOST_LITERAL,
	HTTP_HOST_LITERAL_END, /* behind ']' */
	HTTP_HOST_PORT,
	HTTP_HOST_END, /* in white space behind it */
};

core_inline bool http_is_ipv6_byte(__u8 byte)
{
	__u8 lower = text_lower(byte);

	return text_is_digit(byte) || (lower >= 'a' && lower <= 'f') || byte == ':' || byte == '.';
}

/* Take a byte of the host; false where it cannot stand there. */
core_inline bool http_host_byte(struct http_head *head, __u8 byte)
{
	switch (head->phase) {
	case HTTP_HOST_START:
		if (byte == '[')
			head->phase = HTTP_HOST_LITERAL_START;
		else if (text_is(byte, TEXT_HOST))
			head->phase = HTTP_HOST_NAME;
		else
			return false;
		return true;
	case HTTP_HOST_NAME:
		if (text_is(byte, TEXT_HOST))
			return true;
		break;
	case HTTP_HOST_LITERAL:
		if (byte == ']') {
			head->phase = HTTP_HOST_LITERAL_END;
			return true;
		}
		return http_is_ipv6_byte(byte);
	case HTTP_HOST_LITERAL_START:
		head->phase = HTTP_HOST_LITERAL;
		return http_is_ipv6_byte(byte);
	case HTTP_HOST_LITERAL_END:
		break;
	case HTTP_HOST_PORT:
		return text_is_digit(byte);
	default:
		return false;
	}
	head->phase = HTTP_HOST_PORT;
	return byte == ':';
}

/* True where the host may end here. */
core_inline bool http_host_is_whole(const struct http_head *head)
{
	return head->phase == HTTP_HOST_NAME || head->phase == HTTP_HOST_LITERAL_END ||
	       head->phase == HTTP_HOST_PORT || head->phase == HTTP_HOST_END;
}

#endif
