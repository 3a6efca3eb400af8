/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cases under way: many connections at once from one loop, each of which sends the bytes of a row in
 * the segments of a mode, and checks what comes back and what the application was given.
 */
#ifndef SLUICE_TESTS_NET_EXCHANGE_H
#define SLUICE_TESTS_NET_EXCHANGE_H

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
void run_cases(const struct destination *destination, const struct row *rows, size_t count,
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
	unsigned int counted; /* requests, by the key, of earlier batches */
	char *bytes;	      /* keys filled in, marks taken out */
	size_t size;
	size_t weight;		      /* bytes that each of its cases has the relay keep at most */
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
	size_t again;		 /* cases that were sent once more */
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

/* --- exchange.c: all cases of some rows ---------------------------------------------------------- */

#define EXCHANGES_MAX	     512  /* cases at once */
#define EXCHANGE_PATIENCE_MS 8000 /* without any progress of a case */
#define AGAIN_MAX	     3	  /* cases that are sent once more */
#define PAUSE_MS	     50 /* between segments; the gate waits 100 ms for one (README, Limits) */

enum phase {
	UNUSED,
	OPENED,	  /* the application has not accepted it */
	BEFORE,	  /* a request before the row's bytes is not answered yet */
	SENDING,  /* the row's bytes */
	AWAITING, /* all is sent, not all is answered */
	BEHIND,	  /* a request behind the row's bytes is not answered yet */
	ENDING,	  /* only the end of the connection is still to come */
};

/* One case. */
struct exchange {
	enum phase phase;
	int fd;
	uint32_t number; /* of the connection, and of its record */
	struct batch *batch;
	size_t cut;
	bool again;  /* it is sent for the second time */
	size_t sent; /* of the batch's bytes */
	uint64_t sent_ms;
	bool paused; /* for longer than PAUSE_MS: the gate may not have waited for the rest */
	size_t segment_end;
	size_t answered; /* of the batch's answers */
	size_t executed; /* answers of the application so far */
	uint64_t digest; /* over what it must have executed so far */
	bool half_closed;
	size_t refusals; /* answers behind those, where a body turned bad */
	bool opaque;	 /* answers are over: what comes are opaque bytes */
	bool may_end;	 /* the application said that it ends the connection */
	uint64_t deadline_ms;
	char *received;
	size_t size, used;
};

/*
 * Cases in which the application's blocking recv() was told EAGAIN, and it closed: a limit of the kernel's
 * (README, Limits) that one in some hundred thousand comes upon. They are sent once more.
 */
struct again {
	struct {
		struct batch *batch;
		size_t cut;
	} cases[AGAIN_MAX];
	size_t count;
	size_t sent; /* of them */
};

struct run {
	const struct destination *destination;
	const struct mode *mode;
	struct outcome *outcome;
	int epoll;
	struct exchange exchanges[EXCHANGES_MAX];
	size_t count;  /* of exchanges that are not UNUSED */
	size_t weight; /* of their batches */
	struct again again;
};

/* Send bytes with a FIN in their last segment. Returns as send(2) does; less sent: no FIN. */
ssize_t exchange_send_last(int fd, const void *data, size_t size);

/* --- exchange_check.c: what comes back ------------------------------------------------------------ */

/* What app_log notes of the connection; NULL where the application is another. */
struct seen *exchange_record(const struct exchange *exchange);

/* Receive what is there, and check it. The case may be over by that. */
void exchange_receive(struct run *run, struct exchange *exchange);

/* True where all that must come before the end of the connection has come. */
bool exchange_is_answered(const struct exchange *exchange);

/* The case has failed, and is over; or is to be sent once more. */
void exchange_fail(struct run *run, struct exchange *exchange, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

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
