// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a store keeps, as a file that one relay writes and the next reads: a header, then a struct
 * saved for each stream, with its bytes behind it.
 *
 * What comes of trying again is not saved. The next relay tries all of it anew, and reads heads from
 * their begin.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <sodium.h>

#include "streams_store.h"

#define MAGIC 0x65637573 /* "suce" */
/* A change of the structs below, or of what they mean, needs a new one. */
#define VERSION 1

struct header {
	uint32_t magic;
	uint32_t version;
	uint64_t count;
};

enum saved_flags {
	SAVED_UP = 1,
	SAVED_IN_HEAD = 2,
	SAVED_ENDING = 4,
	SAVED_FORCED = 8,
	SAVED_UNKNOWN = 16,
	SAVED_ALL = 31,
};

/* struct stream's members of these names. */
struct saved {
	uint64_t cookie;
	uint64_t head_until_us;
	uint64_t quiet_us;
	uint64_t end_us;
	uint64_t end_until_us;
	uint32_t flags;
	uint32_t length;
	uint32_t received;
	uint32_t head_limit;
	uint32_t turns;
	uint32_t eaten;
};

/* Returns NULL, with errno set, where it cannot. */
static uint8_t *map_file(int fd, size_t size)
{
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return bytes == MAP_FAILED ? NULL : bytes;
}

/* --- writing ----------------------------------------------------------------------------------- */

struct writing {
	uint8_t *bytes; /* NULL: only count */
	size_t at;
};

static void add(struct writing *writing, const void *bytes, size_t length)
{
	if (writing->bytes && length)
		memcpy(writing->bytes + writing->at, bytes, length);
	writing->at += length;
}

static void add_stream(const void *node, VISIT visit, void *closure)
{
	const struct stream *stream = *(struct stream *const *)node;
	const struct saved saved = {
		.cookie = stream->cookie,
		.head_until_us = stream->head_until_us,
		.quiet_us = stream->quiet_us,
		.end_us = stream->end_us,
		.end_until_us = stream->end_until_us,
		.flags = (stream->up ? SAVED_UP : 0) | (stream->in_head ? SAVED_IN_HEAD : 0) |
			 (stream->ending ? SAVED_ENDING : 0) | (stream->forced ? SAVED_FORCED : 0) |
			 (stream->unknown ? SAVED_UNKNOWN : 0),
		.length = stream->length,
		.received = stream->received,
		.head_limit = stream->head_limit,
		.turns = stream->turns,
		.eaten = stream->eaten,
	};

	if (visit != preorder && visit != leaf)
		return;
	add(closure, &saved, sizeof(saved));
	add(closure, stream->bytes + stream->start, stream->length);
}

static void write_all(const struct streams *streams, struct writing *writing)
{
	const struct header header = { MAGIC, VERSION, streams->count };

	add(writing, &header, sizeof(header));
	twalk_r(streams->tree, add_stream, writing);
}

int streams_hand_over(const struct streams *streams, int fd)
{
	struct writing writing = { 0 };
	size_t size;

	write_all(streams, &writing);
	size = writing.at;
	/* Where memory is short, this fails; a write to the mapping could not. */
	if (fallocate(fd, 0, 0, size))
		return -errno;
	writing = (struct writing){ .bytes = map_file(fd, size) };
	if (!writing.bytes)
		return -errno;
	write_all(streams, &writing);
	munmap(writing.bytes, size);
	return 0;
}

/* --- reading ----------------------------------------------------------------------------------- */

struct reading {
	const uint8_t *bytes;
	size_t left;
};

static const uint8_t *get(struct reading *reading, size_t length)
{
	const uint8_t *bytes = reading->bytes;

	if (length > reading->left)
		return NULL;
	reading->bytes += length;
	reading->left -= length;
	return bytes;
}

static bool is_sound(const struct saved *saved)
{
	uint32_t flags = saved->flags;
	bool up = flags & SAVED_UP, ending = flags & SAVED_ENDING;

	if (flags & ~SAVED_ALL || (!up && !ending) || (saved->length && !up))
		return false;
	if (flags & SAVED_IN_HEAD && (!saved->length || saved->head_limit > HEAD_LIMIT_MAX))
		return false;
	return (ending || !(flags & (SAVED_FORCED | SAVED_UNKNOWN))) &&
	       saved->quiet_us <= UINT32_MAX * 1000ULL;
}

static uint64_t earlier(uint64_t one_us, uint64_t other_us)
{
	return one_us < other_us ? one_us : other_us;
}

/* No time lies further ahead than it could have been set to now. */
static void restore(struct stream *stream, const struct saved *saved, uint64_t now_us)
{
	uint64_t wait_us = saved->quiet_us ? saved->quiet_us : STREAM_UNKNOWN_MS * 1000ULL;

	stream->up = saved->flags & SAVED_UP;
	stream->in_head = saved->flags & SAVED_IN_HEAD;
	stream->ending = saved->flags & SAVED_ENDING;
	stream->forced = saved->flags & SAVED_FORCED;
	stream->unknown = saved->flags & SAVED_UNKNOWN;
	stream->received = saved->received;
	stream->turns = saved->turns;
	stream->eaten = saved->eaten;
	stream->retry_us = now_us;
	stream->quiet_us = saved->quiet_us;
	stream->end_us = earlier(saved->end_us, now_us + wait_us);
	stream->end_until_us = saved->end_until_us;
	stream->head_limit = saved->head_limit;
	stream->head_until_us = earlier(saved->head_until_us, now_us + STREAM_HEAD_MS * 1000ULL);
	if (stream->in_head)
		http_head_begin(&stream->head, stream->head_limit);
}

static int read_stream(struct streams *streams, struct reading *reading, uint64_t now_us)
{
	const uint8_t *from = get(reading, sizeof(struct saved)), *bytes;
	struct stream *stream;
	struct saved saved;

	if (!from)
		return -EBADMSG;
	memcpy(&saved, from, sizeof(saved));
	bytes = get(reading, saved.length);
	if (!bytes || !is_sound(&saved) || stream_find(streams, saved.cookie))
		return -EBADMSG;
	stream = stream_make(streams, saved.cookie);
	if (!stream)
		return -ENOMEM;
	if (!stream_may_have(streams, stream, stream_room_for(stream, saved.length)))
		return -EBADMSG;
	if (saved.length && !stream_reserve(streams, stream, saved.length))
		return -ENOMEM;
	if (saved.length)
		memcpy(stream->bytes, bytes, saved.length);
	stream->length = saved.length;
	restore(stream, &saved, now_us);
	stream_set_due(streams, stream);
	return 0;
}

static int read_all(struct streams *streams, struct reading *reading, uint64_t now_us)
{
	const uint8_t *from = get(reading, sizeof(struct header));
	struct header header;
	int r = 0;

	if (!from)
		return -EBADMSG;
	memcpy(&header, from, sizeof(header));
	if (header.magic != MAGIC || header.version != VERSION)
		return -EPROTO;
	for (uint64_t i = 0; !r && i < header.count; i++)
		r = read_stream(streams, reading, now_us);
	return !r && reading->left ? -EBADMSG : r;
}

int streams_take_over(struct streams *streams, int fd, uint64_t now_us)
{
	struct reading reading;
	struct stat status;
	uint8_t *bytes;
	int r;

	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) || fstat(fd, &status))
		return -errno;
	if (!status.st_size)
		return -EBADMSG;
	bytes = map_file(fd, status.st_size);
	if (!bytes)
		return -errno;
	reading = (struct reading){ bytes, status.st_size };
	r = read_all(streams, &reading, now_us);
	sodium_memzero(bytes, status.st_size);
	munmap(bytes, status.st_size);
	if (r)
		streams_clear(streams);
	return r;
}
