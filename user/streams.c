// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is asked of the kernel, and when. streams_store.c keeps the bytes. */
#include "streams.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "streams_store.h"

/* Microseconds until the next try of what the kernel could not do yet: doubled up to the second. */
#define PAUSE_MIN_US 20
#define PAUSE_MAX_US 1000000
/* Bytes that are asked for at least, where requests follow each other. */
#define PIECE_MIN 4096
/* A client that goes on sending gets so many times the quiet that is waited for. */
#define QUIET_TIMES 50

/* Nothing is left to do for it. */
static void forget(struct streams *streams, struct stream *stream)
{
	stream_drop_bytes(streams, stream);
	stream->up = false;
	stream->ending = false;
	stream->unknown = false;
}

static bool is_idle(const struct stream *stream)
{
	return !stream->up && !stream->ending && !stream->fresh;
}

/* --- asking the kernel ------------------------------------------------------------------------- */

static struct injecting ask(struct streams *streams, const struct stream *stream,
			    struct injection injection, size_t length)
{
	const void *bytes = length ? stream->bytes + stream->start : NULL;
	struct injecting injected;

	injection.cookie = stream->cookie;
	/* What could not be sent is tried again. */
	if (streams->inject(streams->data, &injection, bytes, length, &injected))
		return (struct injecting){ .result = INJECTED_WAIT, .number = injection.eaten };
	return injected;
}

static void try_later(struct stream *stream, uint64_t now_us)
{
	stream->pause_us = stream->pause_us ? 2 * stream->pause_us : PAUSE_MIN_US;
	if (stream->pause_us > PAUSE_MAX_US)
		stream->pause_us = PAUSE_MAX_US;
	stream->retry_us = now_us + stream->pause_us;
}

static void end_when_quiet(struct stream *stream, uint64_t quiet_us, uint64_t now_us)
{
	stream->ending = true;
	stream->forced = false;
	stream->unknown = false;
	stream->quiet_us = quiet_us;
	stream->end_us = now_us + quiet_us;
	stream->end_until_us = now_us + QUIET_TIMES * quiet_us;
}

/* End the connection whatever it is at. What is kept of it will never be judged. */
static void end_now(struct streams *streams, struct stream *stream, uint64_t now_us)
{
	stream_drop_bytes(streams, stream);
	stream->up = false;
	end_when_quiet(stream, 0, now_us);
	stream->forced = true;
}

/*
 * The connection's end is due. One that has gone on to other things meanwhile is left alone; where
 * it has not, its time may be over all the same.
 */
static void try_end(struct streams *streams, struct stream *stream, uint64_t now_us)
{
	struct injection end = {
		.kind = INJECT_END,
		.number = stream->turns,
		.eaten = stream->eaten,
		.force = stream->forced,
	};
	struct injecting injected = ask(streams, stream, end, 0);

	if (injected.result == INJECTED_WAIT && !end.force && now_us >= stream->end_until_us) {
		end.force = true;
		injected = ask(streams, stream, end, 0);
	}
	if (injected.result != INJECTED_WAIT) {
		stream->ending = false;
		return;
	}
	stream->eaten = injected.number;
	if (!stream->quiet_us)
		try_later(stream, now_us);
	stream->end_us = now_us + (stream->quiet_us ? stream->quiet_us : stream->pause_us);
}

/* --- judging ----------------------------------------------------------------------------------- */

/* Read on in the head that the stream begins with. Returns whether it is worth asking the kernel. */
static bool head_is_over(struct stream *stream)
{
	const uint8_t *bytes = stream->bytes + stream->start;

	while (stream->looked < stream->length) {
		if (http_head_byte(&stream->head, bytes[stream->looked++]) != HTTP_MORE)
			return true;
	}
	return false;
}

static void begin_head(struct stream *stream, uint32_t limit, uint64_t now_us)
{
	stream->in_head = true;
	stream->pause_us = 0;
	stream->head_until_us = now_us + STREAM_HEAD_MS * 1000ULL;
	stream->looked = 0;
	stream->head_limit = limit;
	http_head_begin(&stream->head, limit);
	head_is_over(stream);
}

static void take(struct streams *streams, struct stream *stream, size_t length)
{
	sodium_memzero(stream->bytes + stream->start, length);
	stream->start += length;
	stream->length -= length;
	stream->pause_us = 0;
	if (!stream->length)
		stream_drop_bytes(streams, stream);
}

/*
 * Ask for as many bytes as there are, then for as many as can be judged at once. Where requests follow each
 * other, all of them would be copied for each: what is asked for first is like what was judged last.
 */
static struct injecting ask_for_bytes(struct streams *streams, struct stream *stream,
				      size_t *ret_length)
{
	const struct injection injection = { .kind = INJECT_BYTES, .number = stream->received };
	size_t all = stream->length < INJECT_BYTES_MAX ? stream->length : INJECT_BYTES_MAX;
	size_t length = stream->piece && stream->piece < all ? stream->piece : all;
	struct injecting injected = ask(streams, stream, injection, length);

	if (injected.result == INJECTED_MORE && length < all) {
		length = all;
		injected = ask(streams, stream, injection, length);
	}
	if (injected.result == INJECTED_PART && injected.number && injected.number < length) {
		length = injected.number;
		stream->piece = 2 * length > PIECE_MIN ? 2 * length : PIECE_MIN;
		injected = ask(streams, stream, injection, length);
	} else if (injected.result == INJECTED_TAKEN) {
		stream->piece = length < INJECT_BYTES_MAX ? 2 * stream->piece : 0;
	}
	*ret_length = length;
	return injected;
}

/* Have the first bytes judged. Returns whether there may be more to judge at once. */
static bool judge(struct streams *streams, struct stream *stream, uint64_t now_us)
{
	const struct injection more = { .kind = INJECT_MORE, .number = stream->received };
	struct injecting injected;
	size_t length;

	if (stream->in_head && !head_is_over(stream)) {
		ask(streams, stream, more, 0);
		return false;
	}
	stream->in_head = false;
	injected = ask_for_bytes(streams, stream, &length);
	switch (injected.result) {
	case INJECTED_TAKEN:
		take(streams, stream, length);
		return stream->length;
	case INJECTED_MORE:
		begin_head(stream, injected.number, now_us);
		return false;
	case INJECTED_WAIT:
		try_later(stream, now_us);
		return false;
	case INJECTED_LOST:
		end_now(streams, stream, now_us);
		return false;
	default:
		forget(streams, stream);
		return false;
	}
}

/*
 * Give the connection back to the fast path. Where the kernel does not take it, more was handed up,
 * and its record is on its way.
 */
static void release(struct streams *streams, struct stream *stream, uint64_t now_us)
{
	const struct injection injection = { .kind = INJECT_RELEASE, .number = stream->received };

	stream->up = ask(streams, stream, injection, 0).result == INJECTED_WAIT;
	if (stream->up)
		try_later(stream, now_us);
}

static void advance(struct streams *streams, struct stream *stream, uint64_t now_us)
{
	stream->retry_us = UINT64_MAX;
	while (stream->length && judge(streams, stream, now_us))
		;
	if (stream->up && !stream->length)
		release(streams, stream, now_us);
}

/* --- records ----------------------------------------------------------------------------------- */

/* Bytes of it were dropped that nobody judged: until it has ended, those behind them are, too. */
static bool is_lost(const struct stream *stream)
{
	return stream->ending && stream->forced;
}

/*
 * Make room for `more` bytes. Where all take too much, the one that keeps the most is ended for it,
 * as long as that is more than this one would have: those that hoard are not to keep others out.
 * That is room enough, and this one is not ended for itself. Where nobody keeps more, it is to be
 * ended: returns false.
 */
static bool make_room(struct streams *streams, struct stream *stream, size_t more, uint64_t now_us)
{
	size_t size = stream_room_for(stream, more);
	struct stream *largest;

	if (!stream_may_have(streams, stream, size)) {
		largest = stream_largest(streams, size);
		if (!largest)
			return false;
		end_now(streams, largest, now_us);
		stream_set_due(streams, largest);
	}
	return stream_reserve(streams, stream, more);
}

static void add_bytes(struct streams *streams, struct stream *stream, const struct handoff *record,
		      uint64_t now_us)
{
	if (stream->unknown && !record->number) /* it is known after all */
		forget(streams, stream);
	if (is_lost(stream))
		return;
	if (!record->number && !stream->up) /* it was given back meanwhile */
		stream->received = 0;
	if (record->number != stream->received ||
	    !make_room(streams, stream, record->length, now_us)) {
		end_now(streams, stream, now_us);
		return;
	}
	if (!stream->length)
		stream->pause_us = 0;
	memcpy(stream->bytes + stream->start + stream->length, record + 1, record->length);
	stream->length += record->length;
	stream->received += record->length;
	stream->up = true;
}

static void add_end(struct stream *stream, const struct handoff *record, uint64_t now_us)
{
	if (is_lost(stream))
		return;
	end_when_quiet(stream, record->quiet_ms * 1000ULL, now_us);
	stream->turns = record->number;
	stream->eaten = record->eaten;
}

/* There is no memory to keep anything of a connection: nobody will judge its bytes. */
static void end_unkept(struct streams *streams, uint64_t cookie)
{
	const struct stream nothing = { .cookie = cookie };

	ask(streams, &nothing, (struct injection){ .kind = INJECT_END, .force = true }, 0);
}

void streams_take(struct streams *streams, const struct handoff *record, uint64_t now_us)
{
	struct stream *stream = stream_find(streams, record->cookie);

	if (!stream && record->kind != HANDOFF_TURN)
		stream = stream_make(streams, record->cookie);
	if (!stream && record->kind == HANDOFF_BYTES)
		end_unkept(streams, record->cookie);
	if (!stream)
		return;
	if (record->kind == HANDOFF_BYTES)
		add_bytes(streams, stream, record, now_us);
	else if (record->kind == HANDOFF_END)
		add_end(stream, record, now_us);
	else
		stream->pause_us = 0;
	if (!stream->fresh) {
		stream->fresh = true;
		stream->next_fresh = streams->fresh;
		streams->fresh = stream;
	}
}

bool streams_know(const struct streams *streams, uint64_t cookie)
{
	return stream_find(streams, cookie);
}

void streams_end_unknown(struct streams *streams, uint64_t cookie, uint64_t now_us)
{
	struct stream *stream = streams_know(streams, cookie) ? NULL : stream_make(streams, cookie);

	if (!stream)
		return;
	end_now(streams, stream, now_us);
	stream->unknown = true;
	stream->end_us = now_us + STREAM_UNKNOWN_MS * 1000ULL;
	stream_set_due(streams, stream);
}

static void settle(struct streams *streams, struct stream *stream)
{
	if (is_idle(stream))
		stream_destroy(streams, stream);
	else
		stream_set_due(streams, stream);
}

static void run_due(struct streams *streams, struct stream *stream, uint64_t now_us)
{
	if (stream->in_head && now_us >= stream->head_until_us)
		end_now(streams, stream, now_us);
	if (stream->up && now_us >= stream->retry_us)
		advance(streams, stream, now_us);
	if (stream->ending && now_us >= stream->end_us)
		try_end(streams, stream, now_us);
	settle(streams, stream);
}

uint64_t streams_run(struct streams *streams, uint64_t now_us)
{
	while (streams->fresh) {
		struct stream *stream = streams->fresh;

		streams->fresh = stream->next_fresh;
		stream->fresh = false;
		/* One that waits for its turn is not asked for again with each byte that comes. */
		if (stream->up && !stream->pause_us)
			advance(streams, stream, now_us);
		settle(streams, stream);
	}
	while (streams->due_count && streams->due[0]->due_us <= now_us)
		run_due(streams, streams->due[0], now_us);
	return streams->due_count ? streams->due[0]->due_us : UINT64_MAX;
}

void streams_init(struct streams *ret_streams, streams_inject *inject, void *data)
{
	*ret_streams = (struct streams){ .inject = inject, .data = data };
	for (size_t rank = 0; rank < STREAM_ROOM_SIZES; rank++)
		TAILQ_INIT(&ret_streams->rooms[rank]);
}

void streams_clear(struct streams *streams)
{
	while (streams->tree)
		stream_destroy(streams, *(struct stream **)streams->tree);
	free(streams->due);
	streams->due = NULL;
	streams->due_size = streams->due_count = 0;
	streams->fresh = NULL;
}
