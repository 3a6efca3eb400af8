// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A client's side of WebSocket: frames, numbered messages, and their echoes. */
#include "websocket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"

#define LARGE_EVERY 100	  /* every so many messages one is large, in several frames */
#define LARGE_SIZE  65536 /* bytes */
#define IN_FLIGHT   200	  /* messages sent ahead of their echoes */

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8 };

/* A frame as a client sends it, masked. Returns its size. */
static size_t put_frame(uint8_t *to, enum opcode opcode, bool final, const uint8_t *payload,
			size_t length)
{
	static const uint8_t mask[4] = { 0x0d, 0x0a, 0x47, 0x80 };
	size_t at = 2;

	to[0] = (final ? 0x80 : 0) | opcode;
	to[1] = 0x80 | (length < 126 ? length : 126);
	if (length >= 126) {
		to[at++] = length >> 8;
		to[at++] = length;
	}
	memcpy(to + at, mask, sizeof(mask));
	at += sizeof(mask);
	for (size_t i = 0; i < length; i++)
		to[at++] = payload[i] ^ mask[i % sizeof(mask)];
	return at;
}

static size_t message_length(unsigned int number)
{
	return number % LARGE_EVERY == LARGE_EVERY - 1 ? LARGE_SIZE : number % 180;
}

/* Byte `at` of a message; among them what looks like the start of a request, and of an answer. */
static uint8_t message_byte(unsigned int number, size_t at)
{
	static const char lures[] = "GET /lure HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";

	if (number % 3)
		return number * 31 + at * 7;
	return lures[at % (sizeof(lures) - 1)];
}

/* A message, in one frame where it is small and in four where it is large. */
size_t websocket_put(uint8_t to[WEBSOCKET_ROOM], unsigned int number)
{
	static uint8_t payload[LARGE_SIZE];
	size_t length = message_length(number), piece = length == LARGE_SIZE ? length / 4 : length;
	size_t size = 0, at = 0;

	for (size_t i = 0; i < length; i++)
		payload[i] = message_byte(number, i);
	do {
		bool final = at + piece >= length;

		size += put_frame(to + size, at ? CONTINUATION : BINARY, final, payload + at,
				  piece);
		at += piece;
	} while (at < length);
	return size;
}

/* What came from the server: frames are taken off its front. */
struct echo {
	uint8_t *bytes;
	size_t used, taken;
	unsigned int echoes, ticks; /* whole messages */
	size_t at;		    /* in the message that is not whole yet */
};

/* A frame's payload; fails the test where it is not what is due. */
static void take_payload(struct echo *echo, enum opcode opcode, bool final, const uint8_t *payload,
			 size_t length)
{
	char tick[32];

	if (opcode == TEXT) {
		snprintf(tick, sizeof(tick), "tick %u", echo->ticks++);
		assert_int_equal(length, strlen(tick));
		assert_memory_equal(payload, tick, length);
		return;
	}
	assert_int_equal(opcode, echo->at ? CONTINUATION : BINARY);
	for (size_t i = 0; i < length; i++)
		if (payload[i] != message_byte(echo->echoes, echo->at + i))
			fail_msg("message %u: byte %zu is another", echo->echoes, echo->at + i);
	echo->at += length;
	if (!final)
		return;
	assert_int_equal(echo->at, message_length(echo->echoes));
	echo->echoes++;
	echo->at = 0;
}

/* Take the whole frames that are there. */
static void take_frames(struct echo *echo)
{
	for (;;) {
		const uint8_t *frame = echo->bytes + echo->taken;
		size_t left = echo->used - echo->taken, length, head = 2;

		if (left < 4)
			break;
		length = frame[1];
		if (length == 126) {
			length = frame[2] << 8 | frame[3];
			head = 4;
		}
		if (left < head + length)
			break;
		take_payload(echo, frame[0] & 15, frame[0] >> 7, frame + head, length);
		echo->taken += head + length;
	}
	memmove(echo->bytes, echo->bytes + echo->taken, echo->used - echo->taken);
	echo->used -= echo->taken;
	echo->taken = 0;
}

static void receive_frames(struct client *client, struct echo *echo)
{
	ssize_t got = recv(client->fd, echo->bytes + echo->used, WEBSOCKET_ROOM - echo->used,
			   MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		fail_msg("behind message %u: %s", echo->echoes, got ? strerror(errno) : "the end");
	echo->used += got;
	take_frames(echo);
}

/* The message on its way out. */
struct sender {
	uint8_t *bytes;
	size_t size, out;
	unsigned int next; /* message */
};

static void send_some(struct client *client, struct sender *sender)
{
	ssize_t sent = send(client->fd, sender->bytes + sender->out, sender->size - sender->out,
			    MSG_DONTWAIT | MSG_NOSIGNAL);

	sender->out += sent > 0 ? sent : 0;
}

void websocket_converse(struct client *client, unsigned int sent, unsigned int messages)
{
	struct sender sender = { .bytes = malloc(WEBSOCKET_ROOM), .next = sent };
	struct echo echo = { .bytes = malloc(WEBSOCKET_ROOM) };

	assert_true(echo.bytes && sender.bytes);
	/* What the client read behind the 101. */
	echo.used = client->used - client->consumed;
	if (echo.used)
		memcpy(echo.bytes, client->buffer + client->consumed, echo.used);
	take_frames(&echo);
	while (echo.echoes < messages) {
		struct pollfd ready = { .fd = client->fd, .events = POLLIN };

		if (sender.out == sender.size && sender.next < messages &&
		    sender.next < echo.echoes + IN_FLIGHT) {
			sender.size = websocket_put(sender.bytes, sender.next++);
			sender.out = 0;
		}
		if (sender.out < sender.size)
			ready.events |= POLLOUT;
		if (poll(&ready, 1, PATIENCE_MS) != 1)
			fail_msg("nothing behind %u echoes of %u messages", echo.echoes,
				 sender.next);
		if (ready.revents & POLLOUT)
			send_some(client, &sender);
		if (ready.revents & (POLLIN | POLLHUP | POLLERR))
			receive_frames(client, &echo);
	}
	assert_int_equal(echo.ticks, (messages + 9) / 10);
	free(echo.bytes);
	free(sender.bytes);
	client->used = client->consumed = 0;
}

/* Say goodbye with a Close frame, and expect one and end-of-file. */
void websocket_part(struct client *client)
{
	uint8_t frame[16], answer[16];
	size_t size = put_frame(frame, CLOSE, true, (const uint8_t *)"\x03\xe8", 2);

	assert_int_equal(client_send(client, frame, size), 0);
	assert_int_equal(recv(client->fd, answer, sizeof(answer), MSG_WAITALL), 4);
	assert_memory_equal(answer, "\x88\x02\x03\xe8", 4);
	assert_true(client_sees_end(client, PATIENCE_MS));
}
