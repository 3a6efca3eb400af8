/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stand-in for the daemon: answers every connection to its socket with the same bytes.
 */
#ifndef SLUICE_TESTS_CLI_STUB_H
#define SLUICE_TESTS_CLI_STUB_H

struct stub;

/*
 * Listen in a folder of its own. There is one at a time.
 *
 * answer	written as it is, then the connection is closed; it must outlive the stub
 * requests	after that many nobody listens any more; 0: never
 */
struct stub *stub_start(const char *answer, int requests);

const char *stub_socket(const struct stub *stub);

/* Stop listening; what is below may be asked then. */
void stub_stop_serving(struct stub *stub);

/* Number of requests, and the last one as it came, "" where there was none. */
int stub_requests(const struct stub *stub);
const char *stub_request(const struct stub *stub);

/* Stop, and remove folder and socket. */
void stub_stop(struct stub *stub);

/* Tear-down of a test: stops what a test that failed has left. Always 0. */
int stub_tear_down(void **state);

#endif
