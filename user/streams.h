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
/*
 * Milliseconds that the first bytes of a connection may take from the program that hands them up: it
 * says so in the connection's record first.
 */
#define STREAM_UNKNOWN_MS 1000
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

/* Whether the connection is known: something is to be done for it. */
bool streams_know(const struct streams *streams, uint64_t cookie);

/*
 * End a connection of which bytes were handed up to a relay that is gone, unless it is known here, or
 * the first of those bytes still come within STREAM_UNKNOWN_MS.
 */
void streams_end_unknown(struct streams *streams, uint64_t cookie, uint64_t now_us);

/*
 * Write all that is kept to a file, for streams_take_over() in another process.
 *
 * fd	an empty memfd
 *
 * Returns 0 or a negative errno, with a file that cannot be read then.
 */
int streams_hand_over(const struct streams *streams, int fd);

/*
 * Take over what streams_hand_over() wrote, into an empty store, to be tried anew by streams_run(). The
 * file is wiped, and keeps its size from now on.
 *
 * fd		a memfd that allows sealing
 * now_us	microseconds of CLOCK_MONOTONIC
 *
 * Returns 0, or with nothing taken over a negative errno: -EPROTO where another version wrote it,
 * -EBADMSG where it is not sound.
 */
int streams_take_over(struct streams *streams, int fd, uint64_t now_us);

#endif
