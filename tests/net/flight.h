/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cases in flight: many connections at once from one loop, each of which sends the bytes of a row in
 * the segments of a mode, and checks what comes back and what the application was given.
 */
#ifndef SLUICE_TESTS_NET_FLIGHT_H
#define SLUICE_TESTS_NET_FLIGHT_H

#include <stdbool.h>

#include "cases.h"
#include "harness.h"
#include "http_client.h"
#include "seen.h"

#define ANSWERS_MAX 256
#define WAITS_MAX   4

/* How the bytes are cut into segments. */
enum cutting {
	WHOLE,
	CUT,	/* once, at every offset; at some, where there are too many */
	BYTES,	/* byte by byte; longer rows in small pieces of random size */
	PIECES, /* of random size */
};

/* How far the application is when the first segment comes. */
enum moment {
	ACCEPTED,     /* it has accepted the connection */
	NOT_ACCEPTED, /* it has not, and does so once the segment is there */
	ANSWERED,     /* it has answered a request on the connection */
};

struct mode {
	const char *name;
	enum cutting cutting;
	enum moment moment;
	bool fin; /* the client's FIN is in the last segment */
};

/* Where cases are sent to. */
struct destination {
	uint16_t port;
	struct seen_table *table; /* NULL: it is not app_log, and answers as it likes */
	bool ungated;		  /* there is no gate in front of it */
	size_t sample;		  /* at most so many cuts of a row; 0: every one */
};

struct outcome {
	size_t cases;
	size_t failed;
};

/* Send all rows in this mode, and wait for the end of all. Prints what failed, as comments. */
void fly(const struct destination *destination, const struct row *rows, size_t count,
	 const struct mode *mode, struct outcome *outcome);

/* --- batch.c: a row in one mode, ready to be sent at all its cuts -------------------------------- */

struct expected {
	int status;
	bool no_body; /* the answer to a HEAD request */
};

struct batch {
	const struct row *row;
	const struct mode *mode;
	const struct destination *destination;
	struct key key;
	char *bytes; /* keys filled in, marks taken out */
	size_t size;
	char *executed_text, *opaque; /* as in the row, with keys */
	struct wait {
		size_t at; /* bytes that may be sent before */
		size_t answers;
	} waits[WAITS_MAX];
	size_t wait_count;
	struct expected answers[ANSWERS_MAX];
	size_t answer_count;
	uint64_t executed[ANSWERS_MAX]; /* digests */
	size_t executed_count;

	size_t cut_from, cut_to; /* offsets; cuts are between them */
	size_t next;		 /* the last cut so far */
	size_t limit;		 /* the most cuts */
	size_t failures;	 /* cases */
	size_t heads;		 /* request heads that the application was given */
	uint64_t day;		 /* of the first case, since the epoch */
};

/* The request that comes before a row's bytes, or behind them to show that the connection is good. */
#define AROUND "/around"

struct batch *batch_new(const struct row *row, const struct mode *mode,
			const struct destination *destination);
void batch_free(struct batch *batch);

/* The next cut, true while there is one. Where nothing is cut, it is 0. */
bool batch_next_cut(struct batch *batch, size_t *ret_cut);

/* The byte behind the segment that begins at `at`; random is any number. */
size_t batch_segment_end(const struct batch *batch, size_t at, size_t cut, uint32_t random);

/* True where a case that was sent so far must wait for an answer first. */
bool batch_waits(const struct batch *batch, size_t sent, size_t answers);

/* Count a failed case; true where there were so few that it is worth a line. */
bool batch_failed(struct batch *batch);

/*
 * All cases are over: check that the key has counted what the application was given. Returns 0, or
 * 1 where it has not.
 */
size_t batch_end(struct batch *batch);

/* --- answer.c: what comes back ---------------------------------------------------------------- */

enum answer_result {
	ANSWER_WHOLE,
	ANSWER_MORE, /* bytes are missing */
	ANSWER_BAD,
};

/*
 * Find the first answer in the bytes.
 *
 * no_body	it answers a HEAD request
 * ended	the connection is at its end
 */
enum answer_result answer_find(const char *bytes, size_t size, bool no_body, bool ended,
			       struct response *ret_response, size_t *ret_size);

#endif
