// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Putting a stream's bytes together. */
#include "stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void put_bytes(struct stream *stream, const void *bytes, size_t size)
{
	if (size > STREAM_ROOM - stream->size)
		abort();
	memcpy(stream->bytes + stream->size, bytes, size);
	stream->size += size;
}

void put(struct stream *stream, const char *format, ...)
{
	size_t room = STREAM_ROOM - stream->size;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf((char *)stream->bytes + stream->size, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		abort();
	stream->size += length;
}
