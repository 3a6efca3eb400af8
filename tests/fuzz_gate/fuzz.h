/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Streams through the real gate: sending them, reading the answers, and comparing what the servers
 * behind it executed with what the gate counted.
 */
#ifndef SLUICE_FUZZ_GATE_FUZZ_H
#define SLUICE_FUZZ_GATE_FUZZ_H

#include <netinet/in.h>

#include "net/harness.h"
#include "stream.h"

#define WHY_SIZE 512

/* --- answers.c: what came back ------------------------------------------------------------------ */

struct answers {
	uint8_t *bytes;
	size_t used, room;
	size_t at;	      /* where the next answer begins */
	unsigned int count;   /* whole final answers */
	bool ended;	      /* end-of-file */
	int error;	      /* errno of the read that failed */
	char wrong[WHY_SIZE]; /* the first that is not the one expected; "": none */
};

/* Read on through what has come, comparing it with what the stream expects. */
void answers_follow(struct answers *answers, const struct stream *stream);

/* --- deliver.c: one stream on one connection ------------------------------------------------------ */

/* The real texts for a stream's placeholders. */
struct texts {
	const char *own_secret, *other_secret, *spent_secret, *unknown_secret;
	const char *own_id, *other_id;
};

/* Connect, and only that, so that the client's port is known. Returns a socket or a negative errno. */
int deliver_connect(const struct stream *stream, uint16_t *ret_port);

/*
 * Send the stream as its steps say, read the answers, close. Where a promise about the connection
 * itself is broken, why says so: "" where all is well.
 */
void deliver(int fd, const struct stream *stream, const struct texts *texts,
	     struct answers *ret_answers, char why[WHY_SIZE]);

/* --- ledger.c: what the servers executed --------------------------------------------------------- */

#define EXECUTED_KEPT 48

/* One connection, as its server saw it. */
struct executed {
	unsigned int own, other;   /* requests under the connection's two keys */
	unsigned int unidentified; /* under none, several, or a key of no use here */
	unsigned int hidden;	   /* with the target of a smuggled one */
	unsigned int count;
	unsigned int numbers[EXECUTED_KEPT]; /* of those executed, in order */
	bool secret;			     /* a key's text was in a head */
	bool ended;
};

uint16_t server_port(enum server server);

/* Start the servers. Why one can't run here is in *ret_missing; such streams are left out. */
void servers_start(void);
void servers_stop(void);
const char *server_missing(enum server server);

/* From now on a connection from this port uses these keys. */
void ledger_open(enum server server, uint16_t port, const struct texts *texts);

/* Wait until the server has ended the connection, at most patience_ms; what it executed on it. */
struct executed ledger_close(enum server server, uint16_t port, unsigned int patience_ms);

/* Requests executed by all servers so far. */
uint64_t ledger_total(void);

/* --- judge.c: the promises ------------------------------------------------------------------------- */

struct verdict {
	struct answers answers;
	struct executed executed;
	uint64_t own_counted, other_counted, spent_counted;
	uint64_t took_ms;   /* until all was answered, or the connection over */
	char why[WHY_SIZE]; /* the promise that is broken; "": none */
};

/*
 * True where the server may never say that the connection ended: behind a reset. Where bytes before it were
 * kept back it is out of turn, and TCP asks the client about it twice a second at most (RFC 5961 3.2 and 7):
 * a connection is left as if the client were gone, with a gate or without. And Node does not know then whose
 * connection it was.
 */
bool may_end_unseen(const struct stream *stream);

/* Compare; adds to why. */
void judge(const struct stream *stream, struct verdict *verdict);

/* --- run.c: many streams, on several connections at a time --------------------------------------- */

struct fuzz_options {
	uint64_t seed;
	unsigned int seconds;
	const char *replay; /* a file: that stream alone */
	uint64_t first;	    /* number of the first stream */
	uint64_t count;	    /* streams; 0: as many as fit into the time */
};

struct fuzz_result {
	uint64_t streams, requests_executed, requests_counted, bytes, findings;
};

/* Findings are printed as comments and saved below build/fuzz-gate. */
void fuzz_run(const struct fuzz_options *options, struct fuzz_result *ret_result);

#endif
