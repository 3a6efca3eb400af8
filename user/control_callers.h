/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is connected to the control socket, and for how long: nobody takes it from the others. */
#ifndef SLUICE_CONTROL_CALLERS_H
#define SLUICE_CONTROL_CALLERS_H

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

/* Connections that one user other than root may have at once. */
#define CALLER_CONNECTIONS_MAX 16
/* Seconds that a request may take, from its first byte awaited to its answer's last one read. */
#define CALLER_REQUEST_SECONDS 15

/* A connection. */
struct caller {
	LIST_ENTRY(caller) others;
	int fd; /* the connection's, which its owner closes */
	uid_t uid;
	pid_t pid;
	uint64_t end_ms; /* when it is hung up on, CLOCK_MONOTONIC */
};

LIST_HEAD(callers, caller);

/*
 * Take up a connection. ret_caller is valid until callers_remove().
 *
 * Returns 0, or a negative errno, and the connection is the caller's to refuse: -EUSERS where its
 * user has as many as one may have.
 */
int callers_add(struct callers *callers, int fd, struct caller **ret_caller);

/* The connection is about to be closed. */
void callers_remove(struct caller *caller);

/* A request was answered: there is time for another. */
void caller_renew(struct caller *caller);

/*
 * Hang up on those whose time is over, which their owner will read as the end. Returns the
 * milliseconds until there may be another, UINT64_MAX where there is none.
 */
uint64_t callers_hang_up(struct callers *callers);

#endif
