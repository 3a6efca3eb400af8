/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A small blocking HTTP client that shows what is on the wire: bytes out, one answer in.
 */
#ifndef SLUICE_TESTS_NET_HTTP_CLIENT_H
#define SLUICE_TESTS_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HEADER_SIZE 256

/* Longest wait of new clients for a connection or for bytes; reset before each test. */
#define CLIENT_PATIENCE_MS 10000
extern unsigned int client_patience_ms;

struct client {
	int fd;	      /* -1: not connected */
	char *buffer; /* what was received */
	size_t size;
	size_t used;	 /* bytes in it */
	size_t consumed; /* bytes of the answer read last, dropped by the next read */
};

/* Points into the client's buffer: good until its next read. */
struct response {
	int status;
	const char *head; /* status line to empty line, all included */
	size_t head_length;
	const char *body; /* chunks joined */
	size_t body_length;
};

/*
 * A connection to 127.0.0.1, or to a Unix socket; closed with client_close(). Return 0 or a
 * negative errno.
 */
int client_connect(struct client *client, uint16_t port);
int client_connect_unix(struct client *client, const char *path);
void client_close(struct client *client);

/* End the connection by RST. */
void client_abort(struct client *client);

/* A connection that the harness closes after the test; fails the test where there is none. */
struct client *client_open(uint16_t port);
void close_all_clients(void);

/* A socket as a client, which the harness closes after the test. */
struct client *client_adopt(int fd);

/* Send bytes, all of them. 0 or a negative errno. */
int client_send(struct client *client, const void *data, size_t size);

/* Send formatted text; fails the test where it cannot. */
void client_printf(struct client *client, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Send a request for "/" with a bearer key, whose answer is still to be read. */
void client_request(struct client *client, const char *key);

/*
 * Read one answer. no_body: to a HEAD request.
 * -ENODATA: end of file before its first byte; -ECONNRESET; -EAGAIN: nothing in time;
 * -EPROTO: not well-formed HTTP, or cut short.
 */
int client_read(struct client *client, bool no_body, struct response *ret_response);

/*
 * One request with a bearer key (NULL: none) and further header lines ("": none, each with its
 * CRLF), and its answer. Returns the status, or a negative errno as above, which an empty response
 * has for its status then.
 */
int client_ask(struct client *client, const char *method, const char *target, const char *key,
	       const char *lines, struct response *ret_response);
int client_get(struct client *client, const char *target, const char *key);

/* True where the connection ends with end-of-file: no byte more, no RST, within ms. */
bool client_sees_end(struct client *client, unsigned int ms);

/* True where nothing at all arrives for ms. */
bool client_sees_silence(struct client *client, unsigned int ms);

/* How often a header is there; and its value, "" where it is not there. */
unsigned int header_count(const struct response *response, const char *name);
const char *header_value(const struct response *response, const char *name,
			 char value[HEADER_SIZE]);

/* A header's value as a number, -1 where it is missing or not a number. */
int64_t header_number(const struct response *response, const char *name);

/* --- hammer.c: many connections in several processes ------------------------------------------- */

/* What all connections together saw, in memory that all processes share. */
struct tally {
	uint64_t ready; /* connections that are open */
	uint64_t sent;
	uint64_t admitted; /* 2xx with the headers of a valid key */
	uint64_t limited;  /* 429 that parse and say the right instants */
	uint64_t unauthorized;
	uint64_t wrong;	 /* any other answer, or one with a wrong header */
	uint64_t closed; /* connections that ended or failed */
	char first_wrong[1024];
	uint64_t stop;
};

struct hammer {
	uint16_t port;
	const char *target;
	const char *const *keys; /* connection n uses key n % key_count */
	size_t key_count;
	unsigned int processes;
	unsigned int connections; /* in each process */
	unsigned int pause_us;	  /* between two requests of a connection */
	bool split;		  /* every other connection sends its heads in two segments */
	bool reconnect;		  /* one that ended is made anew */
	struct tally *tally;	  /* made by hammer_start() */
	pid_t pids[16];
};

/* Start, returning when all connections are open; stop, returning when all processes ended. */
void hammer_start(struct hammer *hammer);
void hammer_stop(struct hammer *hammer);

/* Kill what a test that failed left hammering. */
void stop_all_hammers(void);

/* --- checks.c: the answers, against the contract -------------------------------------------------- */

/*
 * Check that this is the gate's own answer with that status, every member and header of it.
 * trace_id takes the characters behind "req_"; it may be NULL.
 */
void expect_refusal(const struct response *response, int status, char trace_id[HEADER_SIZE]);

/* Check that this is the application's answer with that status and the gate's headers in it. */
void expect_admitted(const struct response *response, int status);

/*
 * True where a 429 says what the contract asks of one sent and answered at these instants:
 * remaining, reset and Retry-After.
 */
bool limit_answer_is_right(const struct response *response, uint64_t sent_ms, uint64_t answered_ms);

#endif
