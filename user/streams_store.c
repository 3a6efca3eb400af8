// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "streams_store.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#define NOT_DUE SIZE_MAX

/* --- what is due: a binary heap --------------------------------------------------------------- */

static void put(struct streams *streams, size_t at, struct stream *stream)
{
	streams->due[at] = stream;
	stream->due_at = at;
}

static void sift(struct streams *streams, size_t at, struct stream *stream)
{
	while (at && streams->due[(at - 1) / 2]->due_us > stream->due_us) {
		put(streams, at, streams->due[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < streams->due_count &&
		    streams->due[child + 1]->due_us < streams->due[child]->due_us)
			child++;
		if (child >= streams->due_count || streams->due[child]->due_us >= stream->due_us)
			break;
		put(streams, at, streams->due[child]);
		at = child;
	}
	put(streams, at, stream);
}

static void remove_due(struct streams *streams, struct stream *stream)
{
	size_t at = stream->due_at;
	struct stream *last;

	if (at == NOT_DUE)
		return;
	stream->due_at = NOT_DUE;
	last = streams->due[--streams->due_count];
	if (last != stream)
		sift(streams, at, last);
}

static uint64_t earliest(const struct stream *stream)
{
	uint64_t due = stream->up ? stream->retry_us : UINT64_MAX;

	if (stream->in_head && stream->head_until_us < due)
		due = stream->head_until_us;
	if (stream->ending && stream->end_us < due)
		due = stream->end_us;
	return due;
}

void stream_set_due(struct streams *streams, struct stream *stream)
{
	remove_due(streams, stream);
	stream->due_us = earliest(stream);
	if (stream->due_us != UINT64_MAX)
		sift(streams, streams->due_count++, stream);
}

/* --- room ------------------------------------------------------------------------------------- */

static size_t rank_of(size_t size)
{
	return __builtin_ctzl(size / STREAM_ROOM_MIN);
}

/* Wipe and free the room. Heads hold secrets. */
static void leave_room(struct streams *streams, struct stream *stream)
{
	if (!stream->bytes)
		return;
	sodium_memzero(stream->bytes, stream->size);
	free(stream->bytes);
	streams->bytes -= stream->size;
	TAILQ_REMOVE(&streams->rooms[rank_of(stream->size)], stream, roommates);
}

void stream_drop_bytes(struct streams *streams, struct stream *stream)
{
	leave_room(streams, stream);
	stream->bytes = NULL;
	stream->start = stream->length = stream->size = 0;
	stream->in_head = false;
}

size_t stream_room_for(const struct stream *stream, size_t more)
{
	size_t size = stream->size ? stream->size : STREAM_ROOM_MIN;

	while (size < stream->length + more)
		size *= 2;
	return size;
}

bool stream_may_have(const struct streams *streams, const struct stream *stream, size_t size)
{
	return streams->bytes - stream->size + size <= STREAM_BYTES_MAX;
}

struct stream *stream_largest(const struct streams *streams, size_t size)
{
	struct stream *largest = NULL;

	for (size_t rank = STREAM_ROOM_SIZES; !largest && rank > 0; rank--)
		largest = TAILQ_FIRST(&streams->rooms[rank - 1]);
	return largest && largest->size > size ? largest : NULL;
}

bool stream_reserve(struct streams *streams, struct stream *stream, size_t more)
{
	size_t size = stream_room_for(stream, more);
	uint8_t *bytes;

	if (stream->start + stream->length + more <= stream->size)
		return true;
	bytes = malloc(size);
	if (!bytes)
		return false;
	if (stream->length)
		memcpy(bytes, stream->bytes + stream->start, stream->length);
	leave_room(streams, stream);
	streams->bytes += size;
	stream->bytes = bytes;
	stream->size = size;
	stream->start = 0;
	TAILQ_INSERT_TAIL(&streams->rooms[rank_of(size)], stream, roommates);
	return true;
}

/* --- the store -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct stream *one = a, *other = b;

	return one->cookie < other->cookie ? -1 : one->cookie > other->cookie;
}

struct stream *stream_find(const struct streams *streams, uint64_t cookie)
{
	const struct stream wanted = { .cookie = cookie };
	struct stream *const *found = tfind(&wanted, &streams->tree, compare);

	return found ? *found : NULL;
}

/* Room in the heap for every stream, so that nothing fails later. */
static bool has_room(struct streams *streams)
{
	size_t size = streams->due_size ? 2 * streams->due_size : 64;
	struct stream **due;

	if (streams->count < streams->due_size)
		return true;
	due = reallocarray(streams->due, size, sizeof(*due));
	if (!due)
		return false;
	streams->due = due;
	streams->due_size = size;
	return true;
}

struct stream *stream_make(struct streams *streams, uint64_t cookie)
{
	struct stream *stream = has_room(streams) ? calloc(1, sizeof(*stream)) : NULL;

	if (!stream)
		return NULL;
	stream->cookie = cookie;
	stream->retry_us = UINT64_MAX;
	stream->due_at = NOT_DUE;
	if (!tsearch(stream, &streams->tree, compare)) {
		free(stream);
		return NULL;
	}
	streams->count++;
	return stream;
}

void stream_destroy(struct streams *streams, struct stream *stream)
{
	stream_drop_bytes(streams, stream);
	remove_due(streams, stream);
	tdelete(stream, &streams->tree, compare);
	streams->count--;
	free(stream);
}
