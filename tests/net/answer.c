// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Where an answer ends, in the bytes that were received so far. */
#include "exchange.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Find the end of a chunked body at offset `at`. */
static enum answer_result find_chunks_end(const char *bytes, size_t size, size_t at,
					  size_t *ret_end)
{
	for (;;) {
		const char *line_end = memmem(bytes + at, size - at, "\r\n", 2);
		unsigned long length;

		if (!line_end)
			return ANSWER_MORE;
		if (!isxdigit((unsigned char)bytes[at]))
			return ANSWER_BAD;
		length = strtoul(bytes + at, NULL, 16);
		at = line_end + 2 - bytes;
		if (size - at < length + 2)
			return ANSWER_MORE;
		if (memcmp(bytes + at + length, "\r\n", 2) != 0)
			return ANSWER_BAD;
		at += length + 2;
		if (!length)
			break;
	}
	*ret_end = at;
	return ANSWER_WHOLE;
}

static enum answer_result find_body_end(const char *bytes, size_t size, bool no_body, bool ended,
					const struct response *response, size_t *ret_end)
{
	int status = response->status;
	char value[HEADER_SIZE];
	int64_t length;

	*ret_end = response->head_length;
	if (no_body || status < 200 || status == 204 || status == 304)
		return ANSWER_WHOLE;
	if (!strcasecmp(header_value(response, "Transfer-Encoding", value), "chunked"))
		return find_chunks_end(bytes, size, response->head_length, ret_end);
	if (header_count(response, "Content-Length")) {
		length = header_number(response, "Content-Length");
		if (length < 0 || header_count(response, "Content-Length") != 1)
			return ANSWER_BAD;
		*ret_end += length;
		return size < *ret_end ? ANSWER_MORE : ANSWER_WHOLE;
	}
	*ret_end = size;
	return ended ? ANSWER_WHOLE : ANSWER_MORE;
}

enum answer_result answer_find(const char *bytes, size_t size, bool no_body, bool ended,
			       struct response *ret_response, size_t *ret_size)
{
	const char *end = size ? memmem(bytes, size, "\r\n\r\n", 4) : NULL;
	struct response response = { .head = bytes };
	enum answer_result result;

	if (size >= 7 && memcmp(bytes, "HTTP/1.", 7) != 0)
		return ANSWER_BAD;
	if (!end)
		return ANSWER_MORE;
	response.head_length = end + 4 - bytes;
	if (sscanf(bytes, "HTTP/1.%*1[01] %3d ", &response.status) != 1)
		return ANSWER_BAD;
	result = find_body_end(bytes, size, no_body, ended, &response, ret_size);
	if (result != ANSWER_WHOLE)
		return result;
	response.body = bytes + response.head_length;
	response.body_length = *ret_size - response.head_length;
	*ret_response = response;
	return ANSWER_WHOLE;
}
