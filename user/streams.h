/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The slow path's store: bytes of connections that the kernel could not judge when they came, kept
 * in order and sent back for judgement when that can be done.
 *
 * What a request is, and whether it may pass, is said by the kernel alone. The store reads heads
 * only to see when it is worth asking again.
 *
 * Bounded: for each connection by the guard, which lets no more in from a client that is far ahead
 * (bpf/guard.bpf.c), in time by STREAM_HEAD_MS, and in total by STREAM_BYTES_MAX.
 */
#ifndef SLUICE_STREAMS_H
#define SLUICE_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../bpf/abi.h"

/* Milliseconds that a head may take from its first byte to its last. */
#define STREAM_HEAD_MS 10000
/* Bytes kept of all connections; where one needs more, the one that keeps the most is ended. */
#define STREAM_BYTES_MAX (64UL * 1024 * 1024)

/* Bytes of a connection take room of a power of 2: STREAM_ROOM_MIN, and so many sizes up. */
#define STREAM_ROOM_MIN	  1024
#define STREAM_ROOM_SIZES 17
_Static_assert((unsigned long)STREAM_ROOM_MIN << (STREAM_ROOM_SIZES - 1) == STREAM_BYTES_MAX,
	       "one connection may take all");

/*
 * Send a datagram to the kernel and learn what became of it.
 *
 * bytes	those of INJECT_BYTES, else NULL
 *
 * Returns 0 and what the kernel says, or a negative errno where it could not be sent.
 */
typedef int streams_inject(void *data, const struct injection *injection, const void *bytes,
			   size_t length, struct injecting *ret_injected);

struct stream;

struct streams {
	void *tree;	     /* struct stream by cookie, tsearch(3) */
	struct stream **due; /* heap of those with something to do, the earliest first */
	size_t due_count;
	size_t due_size;
	struct stream *fresh; /* list of those that records came for */
	size_t count;
	size_t bytes; /* room taken by what is kept */
	/* Those that keep bytes, by the size of their room; the first has had it the longest. */
	TAILQ_HEAD(, stream) rooms[STREAM_ROOM_SIZES];
	streams_inject *inject;
	void *data;
};

void streams_init(struct streams *ret_streams, streams_inject *inject, void *data);

/* Forget everything. */
void streams_clear(struct streams *streams);

/*
 * Take a HANDOFF_BYTES, HANDOFF_TURN or HANDOFF_END. What follows from it is done by streams_run().
 *
 * record	its bytes stand behind it
 * now_us	microseconds of CLOCK_MONOTONIC
 */
void streams_take(struct streams *streams, const struct handoff *record, uint64_t now_us);

/*
 * Do what the records ask for that were taken, and whatever is due.
 *
 * Returns when to call again, in microseconds of CLOCK_MONOTONIC; UINT64_MAX: when a record came.
 */
uint64_t streams_run(struct streams *streams, uint64_t now_us);

/*
 * Whether nothing is kept but heads that go on: the rest would be judged in a moment, and need not be
 * lost when the relay ends.
 */
bool streams_are_settled(const struct streams *streams);

/*
 * End a connection of which bytes were handed up to a relay that is gone, unless it is known here.
 */
void streams_end_unknown(struct streams *streams, uint64_t cookie, uint64_t now_us);

#endif
