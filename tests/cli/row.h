/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables of runs against a stand-in for the daemon.
 */
#ifndef SLUICE_TESTS_CLI_ROW_H
#define SLUICE_TESTS_CLI_ROW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "run_cli.h"

/* Bodies as the API has them. */
#define RECORD                                                                                     \
	"\"id\":\"key_abcdefgh2345\",\"account\":\"acme\",\"label\":\"ci\",\"prefix\":"            \
	"\"gx_aB3dE6\",\"perMinute\":60,\"perDay\":1000,\"expiresAt\":null,\"createdAt\":"         \
	"\"2026-01-02T03:04:05.678Z\",\"lastUsedAt\":\"2026-02-03T04:05:06.789Z\",\"status\":"     \
	"\"active\",\"usedMinute\":7,\"usedDay\":1234"
#define SECRET "gx_0123456789012345678901234567890123456789012345678"
#define KEY    "{" RECORD "}"
#define NEW    "{" RECORD ",\"key\":\"" SECRET "\"}"
#define LIST   "{\"keys\":[" KEY "]}"
#define SHED                                                                                       \
	"{\"on\":true,\"max\":9,\"sources\":[{\"source\":\"203.0.113.7\",\"until\":"               \
	"\"2027-01-01T00:00:00.000Z\",\"secondsLeft\":61,\"dropped\":1234,\"times\":2}]}"
#define GATES                                                                                      \
	"{\"gates\":[{\"port\":80,\"headLimit\":16384,\"identity\":\"swap\",\"trailers\":"         \
	"\"pass\","                                                                                \
	"\"draining\":false},{\"port\":3000,\"headLimit\":8192,\"identity\":\"keep\","             \
	"\"trailers\":"                                                                            \
	"\"refuse\",\"draining\":true}]}"
#define TAKEN                                                                                      \
	"{\"error\":\"The label is taken.\",\"message\":\"The label is taken.\",\"code\":"         \
	"\"CONFLICT\",\"traceId\":\"req_abc\"}"
#define STATUS                                                                                     \
	"{\"version\":\"0.1.0\",\"startedAt\":\"2026-01-02T03:04:05.678Z\",\"uptimeSeconds\":"     \
	"7385,"                                                                                    \
	"\"enforcing\":true,\"takenOver\":true,\"cgroup\":\"/sys/fs/cgroup\",\"pinFolder\":"       \
	"\"/sys/fs/bpf/sluice\",\"stateFolder\":\"/var/lib/sluice\",\"gates\":[{\"port\":8080,"    \
	"\"headLimit\":16384,\"identity\":\"swap\",\"trailers\":\"pass\"},{\"port\":3000,"         \
	"\"headLimit\":8192,"                                                                      \
	"\"identity\":\"keep\",\"trailers\":\"refuse\"}],\"keys\":{\"active\":3,\"expired\":1,"    \
	"\"revoked\":2,\"max\":"                                                                   \
	"65536},\"guesses\":{\"sources\":3,\"max\":16384,\"top\":[{\"source\":\"192.0.2.7\","      \
	"\"count\":5678,\"lastAt\":\"2026-01-02T03:04:05.678Z\"}]},"                               \
	"\"connections\":{\"open\":12,\"max\":65536},\"counts\":{\"admitted\":1234567,"            \
	"\"refusedNoKey\":41,\"refusedInvalidKey\":42,\"refusedRateLimited\":43}}"

/* One run. NULL in a wanted text: does not matter; "": must be empty. */
struct row {
	const char *name;
	const char *arguments[ARGUMENTS_MAX];
	int http_status;      /* of the daemon's answer; 0: it must not be asked */
	const char *body;     /* of the daemon's answer */
	int status;	      /* wanted exit status */
	const char *out;      /* wanted in stdout */
	const char *err;      /* wanted in stderr */
	const char *request;  /* wanted in what the daemon was asked */
	const char *excluded; /* must not be in stdout */
};

/* The answer as bytes, for the caller to free. */
char *make_answer(int http_status, const char *body);

/* Run against a stand-in that answers so; it ends after that many requests, 0: never. */
struct outcome run_against(const char *answer, int requests, const char *const *arguments,
			   enum output output);

/* Check each row and then the tests, as one TAP program. Returns the exit status. */
int run_rows(const struct row *rows, size_t row_count, const struct CMUnitTest *tests,
	     size_t test_count);

#endif
