// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One stream on one connection, sent as its steps say while its answers are read. */
#include "fuzz.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUIET_MS       20 /* nothing for so long: no more will come of a stream that promises none */
#define SLOW_READS     100   /* pauses of a client that reads slowly */
#define STALL_MS       15000 /* nothing for so long where something is due */
#define READ_SIZE      65536
#define MICROSECOND_NS 1000l

struct delivery {
	int fd;
	const struct stream *stream;
	struct answers *answers;
	uint8_t *bytes; /* the stream's, with the real texts in it */
	size_t sent;
	unsigned int slow_reads;
	bool broken; /* nothing more can be sent */
};

int deliver_connect(const struct stream *stream, uint16_t *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(server_port(stream->server)),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (stream->segment)
		setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &stream->segment, sizeof(stream->segment));
	if (stream->window)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &stream->window, sizeof(stream->window));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(fd, (struct sockaddr *)&address, &length)) {
		int error = -errno;

		close(fd);
		return error;
	}
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void replace(uint8_t *bytes, size_t size, const char *placeholder, const char *text)
{
	size_t length = strlen(placeholder);
	uint8_t *at = bytes;

	while ((at = memmem(at, bytes + size - at, placeholder, length))) {
		memcpy(at, text, length);
		at += length;
	}
}

static uint8_t *fill_in(const struct stream *stream, const struct texts *texts)
{
	uint8_t *bytes = malloc(stream->size + 1);

	if (!bytes)
		abort();
	memcpy(bytes, stream->bytes, stream->size);
	replace(bytes, stream->size, OWN_SECRET, texts->own_secret);
	replace(bytes, stream->size, OTHER_SECRET, texts->other_secret);
	replace(bytes, stream->size, SPENT_SECRET, texts->spent_secret);
	replace(bytes, stream->size, UNKNOWN_SECRET, texts->unknown_secret);
	replace(bytes, stream->size, OWN_ID, texts->own_id);
	replace(bytes, stream->size, OTHER_ID, texts->other_id);
	return bytes;
}

static bool over(const struct answers *answers)
{
	return answers->ended || answers->error;
}

/* Read what is there. Returns whether something was, the end included. */
static bool read_some(struct delivery *delivery)
{
	struct answers *answers = delivery->answers;
	size_t size = READ_SIZE;
	ssize_t got;

	if (over(answers))
		return false;
	if (delivery->slow_reads) {
		delivery->slow_reads--;
		size = delivery->stream->reads;
		nanosleep(&(struct timespec){ .tv_nsec = 500 * MICROSECOND_NS }, NULL);
	}
	if (answers->room - answers->used <= READ_SIZE) {
		answers->room = answers->room * 2 + 2 * READ_SIZE;
		answers->bytes = realloc(answers->bytes, answers->room);
		if (!answers->bytes)
			abort();
	}
	got = recv(delivery->fd, answers->bytes + answers->used, size, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got < 0)
		answers->error = errno;
	answers->ended = got == 0;
	answers->used += got > 0 ? got : 0;
	answers->bytes[answers->used] = '\0';
	answers_follow(answers, delivery->stream);
	return true;
}

/* Wait for bytes, for so long. Returns whether something came. */
static bool await_bytes(struct delivery *delivery, unsigned int ms)
{
	struct pollfd readable = { .fd = delivery->fd, .events = POLLIN };

	return !over(delivery->answers) && poll(&readable, 1, ms) == 1 && read_some(delivery);
}

static void send_bytes(struct delivery *delivery, size_t size)
{
	size_t end = delivery->sent + size;

	if (end > delivery->stream->size)
		end = delivery->stream->size;
	while (delivery->sent < end && !delivery->broken) {
		struct pollfd ready = { .fd = delivery->fd, .events = POLLIN | POLLOUT };
		ssize_t sent = send(delivery->fd, delivery->bytes + delivery->sent,
				    end - delivery->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0) {
			delivery->sent += sent;
			continue;
		}
		if (errno != EAGAIN) {
			delivery->broken = true;
			break;
		}
		/* Whoever does not read may not be read from. */
		if (over(delivery->answers))
			ready.events = POLLOUT;
		if (poll(&ready, 1, STALL_MS) != 1)
			delivery->broken = true;
		read_some(delivery);
	}
}

static void pause_for(struct delivery *delivery, uint32_t microseconds)
{
	struct timespec span = { .tv_sec = microseconds / 1000000,
				 .tv_nsec = microseconds % 1000000 * MICROSECOND_NS };

	nanosleep(&span, NULL);
	read_some(delivery);
}

static bool await_answers(struct delivery *delivery, unsigned int count)
{
	while (delivery->answers->count < count && !delivery->answers->wrong[0])
		if (!await_bytes(delivery, STALL_MS))
			return false;
	return true;
}

/* Returns whether the connection still is open this way. */
static bool take_step(struct delivery *delivery, const struct step *step)
{
	struct linger at_once = { .l_onoff = 1 };

	switch (step->kind) {
	case SEND:
		send_bytes(delivery, step->amount);
		break;
	case PAUSE:
		pause_for(delivery, step->amount);
		break;
	case AWAIT:
		await_answers(delivery, step->amount);
		break;
	case FIN:
		shutdown(delivery->fd, SHUT_WR);
		return false;
	case RST:
		setsockopt(delivery->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		delivery->answers->ended = true;
		return false;
	}
	return true;
}

/* All answers, and the end where one is promised. */
static void read_promised(struct delivery *delivery, bool half_closed, char why[WHY_SIZE])
{
	const struct stream *stream = delivery->stream;
	struct answers *answers = delivery->answers;
	size_t least = stream->expected_count - stream->loose;

	while (answers->count < stream->expected_count && !answers->wrong[0] &&
	       await_bytes(delivery, STALL_MS))
		;
	if (answers->wrong[0])
		snprintf(why, WHY_SIZE, "%s", answers->wrong);
	else if (answers->count < least)
		snprintf(why, WHY_SIZE, "answer %u of %zu does not come: %s", answers->count,
			 stream->expected_count,
			 answers->error	  ? strerror(answers->error)
			 : answers->ended ? "end-of-file"
					  : "nothing");
	if (why[0] || (!stream->ends && !half_closed))
		return;
	while (await_bytes(delivery, STALL_MS))
		;
	if (answers->wrong[0])
		snprintf(why, WHY_SIZE, "%s", answers->wrong);
	else if (answers->at < answers->used && !stream->loose)
		snprintf(why, WHY_SIZE, "%zu bytes behind the last answer",
			 answers->used - answers->at);
	else if (!answers->ended && !stream->loose)
		snprintf(why, WHY_SIZE, "behind %u answers: %s instead of end-of-file",
			 answers->count, answers->error ? strerror(answers->error) : "nothing");
}

void deliver(int fd, const struct stream *stream, const struct texts *texts,
	     struct answers *ret_answers, char why[WHY_SIZE])
{
	struct delivery delivery = { .fd = fd,
				     .stream = stream,
				     .answers = ret_answers,
				     .bytes = fill_in(stream, texts),
				     .slow_reads = stream->reads ? SLOW_READS : 0 };
	bool open = true;

	*ret_answers = (struct answers){ 0 };
	why[0] = '\0';
	for (size_t i = 0; i < stream->step_count && open; i++)
		open = take_step(&delivery, &stream->steps[i]);
	if (stream->kind == FORMED || stream->kind == REFUSED)
		read_promised(&delivery, !open, why);
	else
		while (await_bytes(&delivery, open ? QUIET_MS : STALL_MS))
			;
	if (!why[0] && ret_answers->wrong[0])
		snprintf(why, WHY_SIZE, "%s", ret_answers->wrong);
	close(fd);
	free(delivery.bytes);
}
