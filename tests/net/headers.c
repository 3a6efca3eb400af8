// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reading the header section of an answer. */
#include "http_client.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of the first header of this name at or behind from; NULL where there is none. */
static const char *find_header(const struct response *response, const char *from, const char *name)
{
	const char *end = response->head + response->head_length;
	size_t length = strlen(name);

	while (from < end) {
		const char *next = memchr(from, '\n', end - from);

		next = next ? next + 1 : end;
		if ((size_t)(next - from) > length && from[length] == ':' &&
		    !strncasecmp(from, name, length))
			return from + length + 1;
		from = next;
	}
	return NULL;
}

unsigned int header_count(const struct response *response, const char *name)
{
	const char *value = response->head;
	unsigned int count = 0;

	while ((value = find_header(response, value, name)))
		count++;
	return count;
}

const char *header_value(const struct response *response, const char *name, char value[HEADER_SIZE])
{
	const char *start = find_header(response, response->head, name);
	size_t length = 0;

	if (start) {
		start += strspn(start, " \t");
		length = strcspn(start, "\r\n");
		if (length >= HEADER_SIZE)
			length = HEADER_SIZE - 1;
		memcpy(value, start, length);
	}
	value[length] = '\0';
	return value;
}

int64_t header_number(const struct response *response, const char *name)
{
	char value[HEADER_SIZE];
	char *end;
	int64_t number = strtoll(header_value(response, name, value), &end, 10);

	return value[0] && !*end ? number : -1;
}
