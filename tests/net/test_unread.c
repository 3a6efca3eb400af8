// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An application that does not read what it admitted: bodies that come faster than it takes them stay
 * with their clients, all others are served as ever, and no byte is lost.
 *
 * The daemon and the relay are the release builds here, for the figures.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "cost.h"
#include "harness.h"
#include "http_client.h"
#include "stand_in.h"

#define UPLOADS	  30
#define ROUNDS	  6 /* of as many: more than the relay may keep for, and SERVERS_MAX */
#define BODY	  (4 * 1024 * 1024) /* bytes */
#define PIECE	  16384
#define SEND_ROOM 131072 /* bytes in a client's send buffer */
#define STILL_MS  10	 /* without a byte taken, after which a client is held up */
#define GO_ON_MS  1000	 /* that clients go on sending, each round */
#define READ_MS	  60000	 /* until all is read: clients send again less and less often */

#define OTHERS	  20   /* requests on other connections */
#define ANSWER_MS 1000 /* in which each is answered */

#define RSS_MAX_KIB ((64 + 24) * 1024) /* what the relay may keep, and what else it has */
#define WHOLE_MIN   24		       /* uploads that it has room for at least */

struct upload {
	struct client *client;
	int server;
	size_t sent;
	size_t got;
	bool ended; /* by the relay, to have room */
};

/* Byte of a body: no piece of it is like another that is near. */
static uint8_t byte_at(size_t at)
{
	return (at >> 12) * 31 + at * 7;
}

static uint8_t *make_body(void)
{
	uint8_t *body = malloc(BODY);

	assert_non_null(body);
	for (size_t i = 0; i < BODY; i++)
		body[i] = byte_at(i);
	return body;
}

/* Meet the stand-in with the first half of a request's head, which the relay keeps. */
static void begin_upload(struct upload *upload)
{
	const int room = SEND_ROOM;

	upload->client = stand_in_meet(&upload->server);
	setsockopt(upload->client->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	client_printf(upload->client, "POST /unread HTTP/1.1\r\nHost: a\r\nAuthor");
	breathe();
}

/* Send one piece more, as far as it is taken. Returns whether any of it was. */
static bool send_some(struct upload *upload, const uint8_t *body)
{
	size_t left = BODY - upload->sent;
	ssize_t sent;

	if (!left || upload->ended)
		return false;
	sent = send(upload->client->fd, body + upload->sent, left < PIECE ? left : PIECE,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	upload->ended = sent < 0 && errno != EAGAIN;
	upload->sent += sent > 0 ? sent : 0;
	return sent > 0;
}

/*
 * The body comes at once behind the head's second half, and as fast as it is taken: the relay, which
 * would rather have the application read first, has all of it before it is done with the head.
 */
static void send_burst(struct upload *upload, const struct key *key, const uint8_t *body)
{
	struct pollfd writable = { .fd = upload->client->fd, .events = POLLOUT };

	client_printf(upload->client, "ization: Bearer %s\r\nContent-Length: %d\r\n\r\n", key->text,
		      BODY);
	while (poll(&writable, 1, STILL_MS) == 1 && send_some(upload, body))
		;
}

/* All go on sending for a while. */
static void go_on(struct upload *uploads, size_t count, const uint8_t *body)
{
	uint64_t end_ms = monotonic_ms() + GO_ON_MS;

	while (monotonic_ms() < end_ms) {
		for (size_t i = 0; i < count; i++)
			while (send_some(&uploads[i], body))
				;
		breathe();
	}
}

/* Ask, the head in two segments where there is a key. Returns the milliseconds until the answer. */
static uint64_t ask(const struct key *key, int expected)
{
	uint64_t start_ms = monotonic_ms();
	struct response response;
	struct client client;
	int error;

	assert_int_equal(client_connect(&client, applications[NGINX].port), 0);
	client_printf(&client, "GET / HTTP/1.1\r\nHost: a\r\n");
	if (key) {
		breathe();
		client_printf(&client, "Authorization: Bearer %s\r\n", key->text);
	}
	client_printf(&client, "\r\n");
	error = client_read(&client, false, &response);
	if (error)
		fail_msg("no %d: %s", expected, strerror(-error));
	assert_int_equal(response.status, expected);
	client_close(&client);
	return monotonic_ms() - start_ms;
}

/* Others ask, admitted and refused in turn. Returns the milliseconds of the one that took longest. */
static uint64_t ask_as_others(const struct key *key)
{
	uint64_t longest_ms = 0;

	client_patience_ms = ANSWER_MS * (emulated() ? 8 : 1);
	for (int i = 0; i < OTHERS; i++) {
		uint64_t ms = i % 2 ? ask(NULL, 401) : ask(key, 200);

		longest_ms = ms > longest_ms ? ms : longest_ms;
	}
	return longest_ms;
}

/* Read what is there, and see that it is what was sent. */
static void read_some(struct upload *upload, size_t head_length, const uint8_t *body)
{
	uint8_t bytes[PIECE];
	ssize_t got;

	while ((got = recv(upload->server, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		size_t head = upload->got < head_length ? head_length - upload->got : 0;

		head = head < (size_t)got ? head : (size_t)got;
		upload->got += got;
		assert_true(upload->got <= head_length + BODY);
		if (memcmp(bytes + head, body + (upload->got - got + head - head_length),
			   got - head))
			fail_msg("a body differs before byte %zu", upload->got - head_length);
	}
	upload->ended |= !got || errno != EAGAIN;
}

/* Returns how many are whole; the others have ended. */
static size_t read_all(struct upload *uploads, size_t count, size_t head_length,
		       const uint8_t *body)
{
	struct pollfd readable[ROUNDS * UPLOADS];
	uint64_t end_ms = monotonic_ms() + READ_MS;
	size_t whole, ended;

	do {
		whole = ended = 0;
		for (size_t i = 0; i < count; i++) {
			bool done = uploads[i].got == head_length + BODY;

			if (!done && !uploads[i].ended) {
				while (send_some(&uploads[i], body))
					;
				read_some(&uploads[i], head_length, body);
			}
			whole += done;
			ended += !done && uploads[i].ended;
			readable[i] = (struct pollfd){ uploads[i].server, POLLIN, 0 };
			if (done || uploads[i].ended)
				readable[i].fd = -1;
		}
		if (monotonic_ms() > end_ms)
			fail_msg("%zu bodies are whole, %zu have ended, of %zu", whole, ended,
				 count);
		poll(readable, count, 5);
	} while (whole + ended < count);
	return whole;
}

static void answer_all(struct upload *uploads, size_t count)
{
	struct response response;

	for (size_t i = 0; i < count; i++) {
		if (uploads[i].ended)
			continue;
		stand_in_write(uploads[i].server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		assert_int_equal(client_read(uploads[i].client, false, &response), 0);
		expect_admitted(&response, 200);
	}
}

/* Returns how many bodies are whole at last. */
static size_t upload_unread(unsigned int rounds)
{
	struct upload uploads[ROUNDS * UPLOADS] = {};
	struct key key = key_limited(10000, 100000);
	size_t head_length, count = 0, sent = 0, whole;
	struct cost before = cost_of_gate(), after;
	uint64_t longest_ms, start_ms;
	uint8_t *body = make_body();

	/* The application's is as long: its identity takes the key's place. */
	head_length = strlen("POST /unread HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
			     "\r\nContent-Length: 4194304\r\n\r\n") +
		      strlen(key.text);
	stand_in_listen();
	for (; count < rounds * UPLOADS; go_on(uploads, count, body)) {
		for (int i = 0; i < UPLOADS; i++)
			begin_upload(&uploads[count + i]);
		for (int i = 0; i < UPLOADS; i++)
			send_burst(&uploads[count++], &key, body);
	}
	longest_ms = ask_as_others(&key);
	after = cost_of_gate();
	for (size_t i = 0; i < count; i++)
		sent += uploads[i].sent;
	start_ms = monotonic_ms();
	whole = read_all(uploads, count, head_length, body);
	printf("# figure: %zu bodies, %zu KiB sent and none read: others are answered within %llu "
	       "ms; daemon and relay: %llu KiB, %llu KiB before; %zu whole %llu ms later\n",
	       count, sent / 1024, (unsigned long long)longest_ms,
	       (unsigned long long)after.rss_kib, (unsigned long long)before.rss_kib, whole,
	       (unsigned long long)(monotonic_ms() - start_ms));
	assert_true(after.rss_kib < before.rss_kib + RSS_MAX_KIB);
	answer_all(uploads, count);
	free(body);
	stand_in_leave();
	return whole;
}

static void some_unread(void **state)
{
	(void)state;
	if (applications[NGINX].missing)
		skip();
	daemon_start();
	assert_int_equal(upload_unread(1), UPLOADS);
}

/* More than the relay keeps for: those that keep the most are ended, and none of the others. */
static void many_unread(void **state)
{
	(void)state;
	if (applications[NGINX].missing)
		skip();
	daemon_start();
	assert_in_range(upload_unread(ROUNDS), WHOLE_MIN, ROUNDS * UPLOADS);
}

static const struct promise promises[] = {
	{ "bodies that the application does not read are whole once it reads, and others are "
	  "answered meanwhile",
	  some_unread, ONCE },
	{ "more of them than the relay keeps: others are answered, and what is whole is right",
	  many_unread, ONCE },
};

int main(void)
{
	daemon_release = true;
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
