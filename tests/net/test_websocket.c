// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* WebSocket (RFC 6455) through the gate: authorised by its handshake, opaque behind the 101 alone. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "http_client.h"
#include "stand_in.h"
#include "websocket.h"

#define QUIET_MS 200
#define MESSAGES 10000

/* The pair of RFC 6455 1.3. */
#define UPGRADE                                                                                    \
	"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define SWITCHING                                                                                  \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#define HANDSHAKE_SIZE 512

static const struct application *start_node(void)
{
	if (applications[NODE].missing)
		skip();
	return stand_in_run("node", "tests/net/app_websocket.js");
}

static size_t put_handshake(char *to, const char *target, const char *key)
{
	return snprintf(to, HANDSHAKE_SIZE,
			"GET %s HTTP/1.1\r\nHost: api.test\r\n%s%s%s" UPGRADE "\r\n", target,
			key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "");
}

static void expect_switch(struct client *client)
{
	char value[HEADER_SIZE];
	struct response response;
	int error = client_read(client, false, &response);

	if (error)
		fail_msg("no 101: %s", strerror(-error));
	assert_int_equal(response.status, 101);
	assert_string_equal(header_value(&response, "Sec-WebSocket-Accept", value), ACCEPT);
	assert_int_equal(header_count(&response, "X-RateLimit-Remaining"), 0);
}

static struct client *shake_hands(uint16_t port, const char *key)
{
	struct client *client = client_open(port);
	char handshake[HANDSHAKE_SIZE];

	client_send(client, handshake, put_handshake(handshake, "/socket", key));
	expect_switch(client);
	return client;
}

static void expect_used(const struct key *key, unsigned int count)
{
	unsigned int minute, day;

	key_used(key, &minute, &day);
	assert_int_equal(day, count);
}

static void echo_all(void **state)
{
	const struct application *application = start_node();
	struct key key = key_limited(1000, 10000);
	struct client *client = shake_hands(application->port, key.text);
	uint64_t start_ms = monotonic_ms();

	(void)state;
	websocket_converse(client, 0, MESSAGES);
	printf("# %d messages in %llu ms\n", MESSAGES,
	       (unsigned long long)(monotonic_ms() - start_ms));
	websocket_part(client);
	expect_used(&key, 1);
	stand_in_leave();
}

static void split_handshake(void **state)
{
	const struct application *application = start_node();
	struct key key = key_limited(1000, 10000);
	unsigned int connections = 0;
	char handshake[HANDSHAKE_SIZE];
	size_t size = put_handshake(handshake, "/socket", key.text);

	(void)state;
	for (size_t cut = 1; cut < size; cut += cut + 8 < size ? 7 : 1) {
		struct client *client = client_open(application->port);

		client_send(client, handshake, cut);
		breathe();
		client_send(client, handshake + cut, size - cut);
		expect_switch(client);
		websocket_converse(client, 0, 20);
		websocket_part(client);
		client_close(client);
		connections++;
	}
	expect_used(&key, connections);
	stand_in_leave();
}

/* Messages right behind the handshake, in its own segment or one of their own. */
static void eager_client(void **state)
{
	const struct application *application = start_node();
	struct key key = key_limited(1000, 10000);
	char bytes[HANDSHAKE_SIZE + WEBSOCKET_ROOM];

	(void)state;
	for (int together = 0; together < 2; together++) {
		struct client *client = client_open(application->port);
		size_t size = put_handshake(bytes, "/socket", key.text), first = size;

		for (unsigned int i = 0; i < 10; i++)
			size += websocket_put((uint8_t *)bytes + size, i);
		client_send(client, bytes, together ? size : first);
		if (!together)
			client_send(client, bytes + first, size - first);
		expect_switch(client);
		websocket_converse(client, 10, 10);
	}
	expect_used(&key, 2);
	stand_in_leave();
}

static void without_key(void **state)
{
	const struct application *application = start_node();
	struct key key = key_limited(1, 10);
	struct response response;
	struct client *client;

	(void)state;
	for (int i = 0; i < 20; i++) {
		client = client_open(application->port);
		client_ask(client, "GET", "/refused", i % 2 ? unknown_key() : NULL, UPGRADE,
			   &response);
		expect_refusal(&response, 401, NULL);
	}
	/* The connection of a refused handshake goes on; its next one may be good. */
	need_window_ms(5000);
	client_ask(client, "GET", "/socket", key.text, UPGRADE, &response);
	assert_int_equal(response.status, 101);
	websocket_converse(client, 0, 50);
	client_ask(client_open(application->port), "GET", "/refused", key.text, UPGRADE, &response);
	expect_refusal(&response, 429, NULL);
	expect_seen(application, "/refused", 0);
	stand_in_leave();
}

static void without_daemon(void **state)
{
	const struct application *application = start_node();
	struct key key = key_limited(1000, 10000);
	struct client *client = shake_hands(application->port, key.text);

	(void)state;
	websocket_converse(client, 0, 100);
	daemon_kill();
	websocket_converse(shake_hands(application->port, key.text), 0, 100);
	websocket_part(client);
	stand_in_leave();
}

/* --- the test as the application ---------------------------------------------------------------- */

/* A frame that is not whole: it must wait for the 101, and arrive behind it, in order. */
static void early_frame_waits(void **state)
{
	struct key key = key_limited(1000, 10000);
	char bytes[HANDSHAKE_SIZE + 64], read[2048];
	struct response response;

	(void)state;
	stand_in_listen();
	for (int way = 0; way < 4; way++) {
		int server;
		struct client *client = stand_in_meet(&server);
		size_t size = put_handshake(bytes, "/socket", key.text), first = size;

		size += sprintf(bytes + size, "first frame,");
		/* Together; apart; apart and cut; behind a pause, with the handshake read. */
		client_send(client, bytes, way ? first : size);
		if (way == 3)
			stand_in_read(server, "\r\n\r\n", read, sizeof(read));
		if (way)
			client_send(client, bytes + first, 6);
		if (way == 2)
			breathe();
		if (way)
			client_send(client, bytes + first + 6, size - first - 6);
		if (way != 3) {
			size_t got = stand_in_read(server, "\r\n\r\n", read, sizeof(read));

			assert_memory_equal(read + got - 4, "\r\n\r\n", 4);
		}
		assert_true(stand_in_is_spared(server, QUIET_MS));
		stand_in_write(server, SWITCHING);
		client_printf(client, "second frame");
		stand_in_read(server, "second frame", read, sizeof(read));
		assert_string_equal(read, "first frame,second frame");
		assert_int_equal(client_read(client, false, &response), 0);
		assert_int_equal(response.status, 101);
		stand_in_write(server, "HTTP/1.1 200 from the server");
		assert_int_equal(recv(client->fd, read, 28, MSG_WAITALL), 28);
		assert_memory_equal(read, "HTTP/1.1 200 from the server", 28);
	}
	expect_used(&key, 4);
	stand_in_leave();
}

/* An application that does not switch: what follows is HTTP, judged and counted. */
static void declined(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
	};
	struct key key = key_limited(1000, 10000);
	struct response response;
	char read[2048];

	(void)state;
	stand_in_listen();
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		int server;
		struct client *client = stand_in_meet(&server);

		client_printf(client,
			      "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n" UPGRADE
			      "\r\n",
			      key.text);
		stand_in_read(server, "\r\n\r\n", read, sizeof(read));
		stand_in_write(server, answers[i]);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, i ? 426 : 200);
		assert_int_equal(client_get(client, "/refused", NULL), 401);
		client_printf(client,
			      "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
			      key.text);
		stand_in_read(server, "\r\n\r\n", read, sizeof(read));
		assert_true(holds(read, strlen(read), key.id));
		stand_in_write(server, answers[i]);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, i ? 426 : 200);
	}
	expect_used(&key, 4);
	stand_in_leave();
}

/* Frames sent ahead to an application that then does not switch never reach it. */
static void declined_with_frames(void **state)
{
	static const char frames[] = "\x81\x85\x01\x02\x03\x04GET / HTTP/1.1\r\n\r\n";
	struct key key = key_limited(1000, 10000);
	struct response response;
	char read[2048];
	int server;
	struct client *client;

	(void)state;
	stand_in_listen();
	client = stand_in_meet(&server);
	client_printf(client,
		      "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n" UPGRADE "\r\n",
		      key.text);
	stand_in_read(server, "\r\n\r\n", read, sizeof(read));
	client_send(client, frames, sizeof(frames) - 1);
	stand_in_write(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_refusal(&response, 400, NULL);
	/* Ended by bytes that no server takes for a request, or by end-of-file: never by these. */
	while (!stand_in_is_spared(server, PATIENCE_MS)) {
		ssize_t got = recv(server, read, sizeof(read), 0);

		assert_false(got > 0 && holds(read, got, "GET"));
		if (got <= 0)
			break;
		shutdown(server, SHUT_RDWR);
	}
	expect_used(&key, 1);
	stand_in_leave();
}

static void unasked_switch(void **state)
{
	struct key key = key_limited(1000, 10000);
	char read[2048];

	(void)state;
	stand_in_listen();
	for (int i = 0; i < 2; i++) {
		int server;
		struct client *client = stand_in_meet(&server);
		ssize_t got;

		client_printf(client,
			      "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
			      key.text);
		stand_in_read(server, "\r\n\r\n", read, sizeof(read));
		/* Refused, or passed and the last that is: an application closes on either. */
		if (send(server, SWITCHING, strlen(SWITCHING), MSG_NOSIGNAL) < 0)
			shutdown(server, SHUT_RDWR);
		client_printf(client, "GET /opaque HTTP/1.1\r\nHost: a\r\n\r\n");
		/* The application's socket is at its end, or is told to end it. */
		while ((got = recv(server, read, sizeof(read), 0)) > 0) {
			assert_false(holds(read, got, "/opaque"));
			shutdown(server, SHUT_RDWR);
		}
		assert_true(got == 0 || errno != EAGAIN);
		shutdown(server, SHUT_RDWR);
		while ((got = recv(client->fd, read, sizeof(read), 0)) > 0)
			;
		assert_true(got == 0 || errno == ECONNRESET);
	}
	expect_used(&key, 2);
	stand_in_leave();
}

static const struct promise promises[] = {
	{ "10,000 messages, small and fragmented, both ways at once: every byte, in order",
	  echo_all, ONCE },
	{ "a handshake cut anywhere switches, and is counted once", split_handshake, ONCE },
	{ "messages right behind the handshake are echoed", eager_client, ONCE },
	{ "a handshake without a key is 401, over the limit 429; the application sees neither",
	  without_key, ONCE },
	{ "WebSockets go on, and new ones come, without the daemon", without_daemon, ONCE },
	{ "what the client sends ahead of the 101 arrives behind it, in order", early_frame_waits,
	  ONCE },
	{ "an application that answers 200 or 426 stays HTTP: requests behind it are counted",
	  declined, ONCE },
	{ "frames sent ahead of a 200 are refused as the request they are not",
	  declined_with_frames, ONCE },
	{ "a 101 that nobody asked for ends the connection", unasked_switch, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
