/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A client of the control socket: one HTTP/1.1 request, one JSON answer.
 */
#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H

#include <jansson.h>
#include <stddef.h>

#define CLIENT_WAIT_SECONDS 30		       /* for each read and write */
#define CLIENT_ANSWER_MAX   (64 * 1024 * 1024) /* bytes of head and body */

struct client_answer {
	int status;   /* HTTP status code */
	json_t *body; /* an object; the caller's reference */
};

/*
 * Send one request and read its answer to end-of-file.
 *
 * socket_path	the daemon's Unix socket
 * method	"GET", "POST", …
 * target	path and query, already escaped
 * body		sent as JSON, or NULL
 * ret_answer	the answer; untouched on failure
 * why		on failure, a plain clause that says what went wrong
 *
 * Returns 0, -EACCES where the socket may not be used, -ENOTCONN where nothing was reached at it,
 * -EPROTO where the answer is cut short or is not HTTP with a JSON object, -ETIMEDOUT, -EMSGSIZE or
 * -ENOMEM. After any of these but the first two the daemon may have done what it was asked.
 */
int client_request(const char *socket_path, const char *method, const char *target,
		   const json_t *body, struct client_answer *ret_answer, char *why,
		   size_t why_size);

/* Percent-encode all but the unreserved characters (RFC 3986 2.3). NULL where memory is short. */
char *client_escape(const char *text);

#endif
