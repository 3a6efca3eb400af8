/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers that grow by their headers come out whole. Where the kernel takes a part of what an
 * application writes, the application writes the rest again; where the kernel stops amid what the gate
 * added, bytes are lost or doubled. The gate reads in the socket what will fit (bpf/follow.bpf.h): here
 * it is shown to be right, where there is room for less than the headers.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include "probe.h"
#include "probe_talk.h"
#include "util.h"

#define ANSWER_MAX (128 * 1024)
#define READ_MAX   (2 * ANSWER_MAX)
#define FILL_MAX   (64 * 1024) /* bytes that the smallest buffers never hold */
#define LONG_BODY  (120 * 1024)
#define TRIES	   3 /* to find that a buffer is full */

/*
 * The kernel stops where its last buffer ends and there is no room for another. Where that is in what
 * the gate adds depends on the send buffer's size: from the least that there can be, in steps of less
 * than the headers, up to what one buffer takes more.
 */
#define SEND_MIN  2304
#define SEND_MAX  3024
#define SEND_STEP 16
/*
 * Bytes that fill the client's window: what it is sent in small pieces takes more of its memory than it
 * has, and it would drop some.
 */
#define WINDOW 1400
/* Bytes of room that the first answer leaves, at most, and of the chunks that it is made of. */
#define ROOM_LEFT   12
#define CHUNK_MAX   200
#define CHUNK_FRAME 6

static const char short_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";

/* What the client has read of a connection, and how much of that is known to be right. */
struct reading {
	struct bench *bench;
	char *answer; /* the first */
	char *bytes;
	size_t length;
	size_t at;
};

/* The client reads what there is. Returns false where nothing comes. */
static bool read_some(struct reading *reading)
{
	int client = reading->bench->client;
	ssize_t got;

	if (reading->length == READ_MAX || !bench_await(client, POLLIN))
		return false;
	got = recv(client, reading->bytes + reading->length, READ_MAX - reading->length,
		   MSG_DONTWAIT);
	reading->length += got > 0 ? got : 0;
	return got > 0;
}

/* Write what the kernel takes. Returns how much that is. */
static size_t write_some(const struct reading *reading, const char *bytes, size_t length)
{
	ssize_t sent = send(reading->bench->server, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent > 0 ? sent : 0;
}

/* Have the client's TCP acknowledge what it has: it may wait for its next packet else. */
static void acknowledge(const struct bench *bench)
{
	int yes = 1;

	setsockopt(bench->client, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof(yes));
}

/* Write all; the client reads where the kernel takes no more. */
static const char *write_all(struct reading *reading, const char *bytes, size_t length)
{
	uint64_t deadline = bench_deadline();

	for (size_t sent; length; bytes += sent, length -= sent) {
		sent = write_some(reading, bytes, length);
		if (!sent) {
			acknowledge(reading->bench);
			sent = write_some(reading, bytes, length);
		}
		if (sent > length || bench_is_over(deadline))
			return "the application cannot send an answer";
		if (!sent && !read_some(reading))
			return "an answer does not come to the client";
	}
	return NULL;
}

/* Read until this answer is there, behind those that were read. */
static const char *match(struct reading *reading, const char *answer, size_t length)
{
	bool headers;
	size_t matched;

	while (!(matched = talk_match_answer(reading->bytes + reading->at,
					     reading->length - reading->at, answer, length,
					     &headers)))
		if (!read_some(reading))
			return "an answer does not come whole where there was little room to send";
	reading->at += matched;
	return NULL;
}

static int room(const struct bench *bench)
{
	__u32 memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t length = sizeof(memory);

	getsockopt(bench->server, SOL_SOCKET, SO_MEMINFO, memory, &length);
	return memory[SK_MEMINFO_SNDBUF] - memory[SK_MEMINFO_WMEM_QUEUED];
}

/* Whether there is little room, and stays so when the client has acknowledged all that it will. */
static bool is_tight(const struct bench *bench)
{
	for (int i = 0; i < TRIES && room(bench) <= ROOM_LEFT; i++)
		acknowledge(bench);
	return room(bench) <= ROOM_LEFT;
}

/* A chunk that takes so much room, where it can be. Returns its length. */
static size_t write_chunk(char *ret_chunk, int bytes)
{
	int data = bytes - CHUNK_FRAME;

	if (data > CHUNK_MAX)
		data = CHUNK_MAX;
	if (data < 1)
		data = 1;
	return sprintf(ret_chunk, "%x\r\n%0*d\r\n", data, data, 0);
}

/*
 * Write an answer of chunks that leaves little room. What the kernel has not taken of a piece is written
 * by itself: it does not ask the message program about what follows a piece that it took in part.
 */
static const char *fill(struct reading *reading, size_t *ret_length)
{
	char *answer = reading->answer;
	size_t written = 0, length = sprintf(answer,
					     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
					     "%x\r\n%0*d\r\n",
					     WINDOW, WINDOW, 0);
	const char *wrong;

	for (;;) {
		wrong = write_all(reading, answer + written, length - written);
		if (wrong || is_tight(reading->bench))
			break;
		if (length > FILL_MAX)
			return "a send buffer does not fill up";
		written = length;
		length += write_chunk(answer + length, room(reading->bench) - ROOM_LEFT);
	}
	written = length;
	length += sprintf(answer + length, "0\r\n\r\n");
	*ret_length = length;
	return wrong ? wrong : write_all(reading, answer + written, length - written);
}

/* Begin anew, and have a first request admitted. */
static const char *begin(struct reading *reading, const struct bench_buffers *buffers)
{
	const char *wrong = talk_connect(reading->bench, buffers);

	reading->length = reading->at = 0;
	if (!wrong)
		wrong = talk_send_admitted(reading->bench);
	return wrong ? wrong : talk_application_reads(reading->bench);
}

/* An answer that leaves little room, and a short one behind it; both are read at the end. */
static const char *answer_tightly(struct reading *reading, int send_buffer)
{
	const struct bench_buffers small = { .receive = 1, .send = send_buffer, .segment = 100 };
	const char *wrong = begin(reading, &small);
	size_t length = 0;

	if (!wrong)
		wrong = fill(reading, &length);
	if (!wrong)
		wrong = talk_send_admitted(reading->bench);
	if (!wrong)
		wrong = talk_application_reads(reading->bench);
	if (!wrong)
		wrong = write_all(reading, short_answer, strlen(short_answer));
	if (!wrong)
		wrong = match(reading, reading->answer, length);
	if (!wrong)
		wrong = match(reading, short_answer, strlen(short_answer));
	return wrong;
}

/* A long answer, which the gate looks at the begin of only. */
static const char *answer_long(struct reading *reading)
{
	const char *wrong = begin(reading, NULL);
	size_t length = sprintf(reading->answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
				LONG_BODY);

	for (size_t i = 0; i < LONG_BODY; i++)
		reading->answer[length++] = 'a' + i / 7 % 26;
	if (!wrong)
		wrong = write_all(reading, reading->answer, length);
	return wrong ? wrong : match(reading, reading->answer, length);
}

const char *probe_whole_answers(struct bench *bench)
{
	_cleanup_free_ char *bytes = malloc(READ_MAX), *answer = malloc(ANSWER_MAX);
	struct reading reading = { .bench = bench, .bytes = bytes, .answer = answer };
	const char *wrong = NULL;

	if (!bytes || !answer)
		return "there is no memory";
	for (int size = SEND_MIN; !wrong && size < SEND_MAX; size += SEND_STEP)
		wrong = answer_tightly(&reading, size);
	return wrong ? wrong : answer_long(&reading);
}
