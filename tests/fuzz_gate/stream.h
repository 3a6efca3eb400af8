/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the fuzzer sends on one connection: bytes, how they are cut and when they are sent, and what
 * must be answered. Made from a seed and a number, the same way on every run.
 */
#ifndef SLUICE_FUZZ_GATE_STREAM_H
#define SLUICE_FUZZ_GATE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parity/mutate.h"

#define STREAM_ROOM  (512 * 1024)
#define STEPS_MAX    4096
#define REQUESTS_MAX 64

/*
 * In a stream's bytes these stand for what changes from run to run, at the same length: the secret
 * and the id of the key that the connection uses; of a second one, which only smuggled requests
 * use; the secrets of a key whose day's limit is used up, and of one that was never issued.
 */
#define OWN_SECRET     "gx_OwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnO"
#define OTHER_SECRET   "gx_OtherOtherOtherOtherOtherOtherOtherOtherOtherOthe"
#define SPENT_SECRET   "gx_SpentSpentSpentSpentSpentSpentSpentSpentSpentSpen"
#define UNKNOWN_SECRET "gx_NobodyNobodyNobodyNobodyNobodyNobodyNobodyNobodyN"
#define OWN_ID	       "key_ownownownown"
#define OTHER_ID       "key_otherotherot"

/* The servers behind the gate. */
enum server {
	LENIENT_LENGTH,
	LENIENT_CODING,
	LENIENT_BODYLESS,
	NODE_SERVER,
	PYTHON_SERVER,
	SERVERS
};

enum stream_kind {
	FORMED,	 /* well-formed: exactly these answers */
	REFUSED, /* well-formed up to a request that is refused for good */
	CUT,	 /* either, ended in the middle: these answers, as far as they get */
	MUTATED, /* anything */
	STREAM_KINDS,
};

enum step_kind {
	SEND,  /* so many bytes */
	PAUSE, /* so many microseconds */
	AWAIT, /* until so many answers have come */
	FIN,   /* nothing more is sent; answers are read */
	RST,   /* end the connection at once */
};

struct step {
	enum step_kind kind;
	uint32_t amount;
};

/* An answer that must come. */
struct expected {
	int status;
	unsigned int number; /* 200: of the request, as the application was given it */
	size_t size;	     /* 200: of the body */
	bool bodyless;	     /* HEAD and the like: the head alone */
};

/* A place in the bytes where a client may wait, and how many answers it has been promised by then. */
struct mark {
	size_t at;
	uint32_t answers;
};

struct stream {
	enum server server;
	enum stream_kind kind;
	unsigned int segment; /* bytes; 0: as the system has it */
	unsigned int window;  /* receive buffer, bytes; 0: as the system has it */
	unsigned int reads;   /* bytes the client reads at a time, with pauses; 0: all at once */
	bool ends;	      /* the connection ends behind the last answer */
	bool loose;	      /* the last answer may be missing: the connection then just ends */
	size_t size;
	size_t step_count, expected_count, mark_count;
	struct expected expected[REQUESTS_MAX];
	struct mark marks[2 * REQUESTS_MAX];
	struct step steps[STEPS_MAX];
	uint8_t bytes[STREAM_ROOM];
};

/* --- draw: choices ------------------------------------------------------------------------------ */

#define draw(mutator, bound) mutator_draw(mutator, bound)
#define chance(mutator, n)   (!mutator_draw(mutator, n))

/* One of the texts in a table. */
#define pick(mutator, table) ((table)[mutator_draw(mutator, sizeof(table) / sizeof((table)[0]))])

/* --- text.c: putting bytes together ----------------------------------------------------------- */

void put(struct stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
void put_bytes(struct stream *stream, const void *bytes, size_t size);

/* --- requests.c: well-formed ones ------------------------------------------------------------ */

/* Put a request and the answer it must get. Returns whether another one may follow. */
bool put_request(struct stream *stream, struct mutator *mutator, bool last);

/* A request that must never be executed, in one of several disguises. Returns its length. */
size_t hidden_request(struct mutator *mutator, char *to, size_t size);

/* Put a body of chunks around bytes. */
void put_chunks(struct stream *stream, struct mutator *mutator, const char *bytes, size_t size);

/* --- refused.c: what is ambiguous or malformed ------------------------------------------------- */

/* Put a request that ends the connection, what is smuggled with it, and the answer it must get. */
void put_refused(struct stream *stream, struct mutator *mutator);

/* --- stream.c: whole streams --------------------------------------------------------------------- */

/* The stream with this number under this seed. */
void stream_make(struct stream *stream, uint64_t seed, uint64_t number);

const char *stream_kind_name(enum stream_kind kind);
const char *server_name(enum server server);

/* --- stream_file.c ------------------------------------------------------------------------------- */

/* Write a stream to a file, and read one. Return 0 or a negative errno; -EINVAL: it is none. */
int stream_save(const struct stream *stream, const char *path, const char *why);
int stream_load(struct stream *stream, const char *path);

#endif
