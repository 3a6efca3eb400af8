/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe_talk.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>
#include <linux/tcp.h>

#include "replies.h"
#include "util.h"

#define REQUEST_MAX 512

#define BEARER "Authorization: Bearer "
#define START  "GET /probe HTTP/1.1\r\nHost: probe.invalid\r\n"

static const char refused[] = START "\r\n";
static const char refused_last[] = START "Connection: close\r\n\r\n";

#define FIELD "X-Probe: as many bytes as most answers have, so that their way is tried\r\n"

/* Ends in what stands in it but once. */
static const char answer[] = "HTTP/1.1 200 OK\r\n" FIELD FIELD "Content-Length: 3\r\n\r\nok!";

/* What the gate inserts: two lines. */
#define REMAINING "X-RateLimit-Remaining: "
#define RESET	  "X-RateLimit-Reset: "

/* --- the client ------------------------------------------------------------------------------ */

const char *talk_connect(struct bench *bench, const struct bench_buffers *buffers)
{
	return bench_connect(bench, buffers) && bench_accept(bench, buffers)
		       ? NULL
		       : "a connection on loopback does not come about";
}

static const char *send_bytes(struct bench *bench, const char *bytes, size_t length)
{
	if (send(bench->client, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		return "the client cannot send a request";
	bench->sent += length;
	return NULL;
}

const char *talk_send_refused(struct bench *bench)
{
	return send_bytes(bench, refused, strlen(refused));
}

const char *talk_send_refused_last(struct bench *bench)
{
	return send_bytes(bench, refused_last, strlen(refused_last));
}

static size_t make_admitted(const struct bench *bench, char ret_request[REQUEST_MAX])
{
	return snprintf(ret_request, REQUEST_MAX, START BEARER "%s\r\n\r\n", bench->key);
}

size_t talk_admitted_length(const struct bench *bench)
{
	char request[REQUEST_MAX];

	return make_admitted(bench, request);
}

const char *talk_send_part(struct bench *bench, size_t from, size_t to)
{
	char request[REQUEST_MAX];

	make_admitted(bench, request);
	return send_bytes(bench, request + from, to - from);
}

const char *talk_send_admitted(struct bench *bench)
{
	return talk_send_part(bench, 0, talk_admitted_length(bench));
}

/* Asking for this takes the socket's lock, under which verdicts are found. */
static uint64_t received(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	return info.tcpi_bytes_received;
}

const char *talk_await_judged(struct bench *bench)
{
	uint64_t deadline = bench_deadline();

	while (received(bench->server) < bench->sent) {
		if (bench_is_over(deadline))
			return "what the client sends does not come to the server";
		bench_breathe();
	}
	return NULL;
}

/* --- the application ------------------------------------------------------------------------- */

/* The line's place is taken by the identity, padded with spaces. */
const char *talk_judge_seen(const struct bench *bench, const char *bytes, size_t length)
{
	char request[REQUEST_MAX];
	size_t at = strlen(START), padded = strlen(BEARER) + strlen(bench->key);

	if (length != make_admitted(bench, request))
		return "the application does not get an admitted request whole";
	memset(request + at, ' ', padded);
	memcpy(request + at, bench->identity, IDENTITY_SIZE);
	return memcmp(bytes, request, length) ? "the application does not get an admitted request "
						"as it should, with X-Key-Id"
					      : NULL;
}

const char *talk_application_reads(struct bench *bench)
{
	char bytes[2 * REQUEST_MAX];
	ssize_t length;

	if (!bench_await(bench->server, POLLIN))
		return "an admitted request does not reach the application";
	length = recv(bench->server, bytes, sizeof(bytes), MSG_DONTWAIT);
	return talk_judge_seen(bench, bytes, length > 0 ? length : 0);
}

const char *talk_application_reads_nothing(struct bench *bench)
{
	char bytes[REQUEST_MAX];

	if (recv(bench->server, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return NULL;
	return "the application gets what it must not get";
}

const char *talk_application_is_left_alone(struct bench *bench, bool unread)
{
	struct pollfd readable = { .fd = bench->server, .events = POLLIN };
	int bytes = 0;

	if (poll(&readable, 1, 0) || (unread && (ioctl(bench->server, FIONREAD, &bytes) || bytes)))
		return "the application is told to read what is not there";
	return NULL;
}

const char *talk_application_answers(struct bench *bench)
{
	size_t length = strlen(answer);

	return send(bench->server, answer, length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length
		       ? NULL
		       : "the application is not told that its answer was sent, all of it and no "
			 "more";
}

/* --- what the client gets ---------------------------------------------------------------------- */

/* Read what there is, once something is. Returns the bytes, 0 where nothing comes. */
static size_t read_some(const struct bench *bench, char *ret_bytes, size_t size)
{
	ssize_t length;

	if (!bench_await(bench->client, POLLIN))
		return 0;
	length = recv(bench->client, ret_bytes, size, MSG_DONTWAIT);
	return length > 0 ? length : 0;
}

/* The length of a line that begins with name and ends with CRLF; 0: there is none. */
static size_t match_line(const char *bytes, size_t size, const char *name)
{
	const char *end;

	if (size < strlen(name) || memcmp(bytes, name, strlen(name)))
		return 0;
	end = memmem(bytes, size, "\r\n", 2);
	return end ? end + 2 - bytes : 0;
}

size_t talk_match_answer(const char *bytes, size_t size, const char *expected, size_t length,
			 bool *ret_headers)
{
	size_t status = (const char *)memmem(expected, length, "\r\n", 2) + 2 - expected;
	size_t remaining, reset, at = status;

	if (size < length || memcmp(bytes, expected, status))
		return 0;
	remaining = match_line(bytes + at, size - at, REMAINING);
	at += remaining;
	reset = match_line(bytes + at, size - at, RESET);
	at += reset;
	if (!remaining != !reset || size - at < length - status ||
	    memcmp(bytes + at, expected + status, length - status))
		return 0;
	*ret_headers = remaining;
	return at + length - status;
}

const char *talk_client_reads_answer(struct bench *bench)
{
	char bytes[2 * REQUEST_MAX];
	size_t got, length = 0;
	bool headers = false;

	do {
		got = read_some(bench, bytes + length, sizeof(bytes) - length);
		length += got;
	} while (got && memcmp(bytes + length - 3, "ok!", 3));
	if (talk_match_answer(bytes, length, answer, strlen(answer), &headers) != length)
		return "the client does not get the application's answer as it should";
	return headers ? NULL : "the client does not get the headers with the application's answer";
}

/* Only the trace id differs from what was rendered. */
const char *talk_client_reads_refusal(struct bench *bench, enum reply_connection connection)
{
	struct reply_template expected;
	char bytes[REPLY_SIZE];
	size_t got, length = 0;

	if (reply_render(REPLY_NO_KEY, connection, &expected))
		return "there is no answer";
	do {
		got = read_some(bench, bytes + length, expected.length - length);
		length += got;
	} while (got && length < expected.length);
	if (length == expected.length)
		memcpy(bytes + expected.trace_id_at, expected.bytes + expected.trace_id_at,
		       TRACE_ID_SIZE);
	return length == expected.length && !memcmp(bytes, expected.bytes, length)
		       ? NULL
		       : "the client of a refused request does not get the gate's answer as it "
			 "should";
}

const char *talk_exchange(struct bench *bench)
{
	const char *wrong = talk_send_admitted(bench);

	if (!wrong)
		wrong = talk_application_reads(bench);
	if (!wrong)
		wrong = talk_application_answers(bench);
	return wrong ? wrong : talk_client_reads_answer(bench);
}
