/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept of a connection, for streams*.c alone: found by its cookie, and by when something is
 * to be done for it.
 */
#ifndef SLUICE_STREAMS_STORE_H
#define SLUICE_STREAMS_STORE_H

#include "../bpf/http.h"
#include "streams.h"

struct stream {
	uint64_t cookie;
	struct stream *next_fresh;
	bool fresh;

	/* Bytes that were handed up and not yet judged. */
	uint8_t *bytes;
	size_t start;
	size_t length;
	size_t size; /* of their room; 0: none */
	TAILQ_ENTRY(stream) roommates;
	uint32_t received; /* handed up so far */
	bool up;	   /* the connection was not given back to the fast path */
	size_t piece;	   /* bytes that are worth asking for at once; 0: all */

	/* A head that goes on behind them. */
	bool in_head;
	struct http_head head;
	uint32_t head_limit;
	size_t looked; /* bytes of it that were read */
	uint64_t head_until_us;

	uint64_t retry_us; /* UINT64_MAX: when the kernel says so */
	uint64_t pause_us;

	/* The connection is to be ended when nothing has come since. */
	bool ending;
	bool forced;
	bool unknown; /* bytes of it may be on their way all the same, streams_end_unknown() */
	uint32_t turns;
	uint32_t eaten;
	uint64_t quiet_us;
	uint64_t end_us;
	uint64_t end_until_us; /* whatever comes */

	uint64_t due_us; /* the earliest of all these */
	size_t due_at;	 /* place in the heap */
};

/* The stream of a connection, NULL where there is none. */
struct stream *stream_find(const struct streams *streams, uint64_t cookie);

/* One that keeps nothing yet. Returns NULL where there is no memory. */
struct stream *stream_make(struct streams *streams, uint64_t cookie);

void stream_destroy(struct streams *streams, struct stream *stream);

/* Put it where it belongs among those that are due, when any of its times has changed. */
void stream_set_due(struct streams *streams, struct stream *stream);

/* The size of the room that a stream needs for `more` bytes behind those that are kept. */
size_t stream_room_for(const struct stream *stream, size_t more);

/* Whether STREAM_BYTES_MAX allows for a room of that size in the place of the stream's. */
bool stream_may_have(const struct streams *streams, const struct stream *stream, size_t size);

/*
 * Of those whose room is larger than size, one of the largest: the one that has had it the longest.
 * Returns NULL where there is none.
 */
struct stream *stream_largest(const struct streams *streams, size_t size);

/*
 * Make room for `more` bytes behind those that are kept, whatever the others have. Returns false where
 * there is no memory.
 */
bool stream_reserve(struct streams *streams, struct stream *stream, size_t more);

/* Wipe and forget its bytes: heads hold secrets. */
void stream_drop_bytes(struct streams *streams, struct stream *stream);

#endif
