// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connections that end: whoever asked for it gets the whole answer and then end-of-file, never a
 * reset, which would take with it what the client has not read yet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"
#include "stand_in.h"

#define TIMES	    200 /* for each of four applications */
#define TIMES_FULL  500
#define AT_A_TIME   50
#define BODY_SIZE   5000
#define MEDIUM_SIZE 20480
#define LARGE_SIZE  (1024 * 1024)

/* How a request is sent. */
enum manner {
	WHOLE,	   /* in one piece */
	SPLIT,	   /* its head cut somewhere, all places in turn */
	WITH_BODY, /* with a body, in one piece or a moment behind its head */
};

static size_t put_request(char *to, size_t size, const char *line, const char *key,
			  enum manner manner)
{
	char body[64] = "";

	if (manner == WITH_BODY)
		snprintf(body, sizeof(body), "Content-Length: %d\r\n", BODY_SIZE);
	return snprintf(to, size, "%s\r\nHost: api.test\r\n%s%s%s%s\r\n", line,
			key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "",
			body);
}

/* Send the request; turn says where it is cut, and whether there is a moment between the pieces. */
static void send_request(struct client *client, char *bytes, size_t head, enum manner manner,
			 unsigned int turn)
{
	size_t size = head, cut = 0;

	if (manner == SPLIT)
		cut = 1 + turn % (head - 1);
	if (manner == WITH_BODY) {
		memset(bytes + head, 'b', BODY_SIZE);
		size += BODY_SIZE;
		cut = turn % 2 ? head : 0;
	}
	client_send(client, bytes, cut);
	if (cut && turn % 8 == 1)
		breathe();
	/* An answer that is out already may have ended the connection. */
	client_send(client, bytes + cut, size - cut);
}

/* Whether the client gets the answer, whole, and a clean end; says what else it gets. */
static bool ends_well(struct client *client, int status, unsigned int turn)
{
	struct response response;
	int error = client_read(client, false, &response);
	char byte;

	if (error || response.status != status) {
		printf("# %u: %s, status %d\n", turn, strerror(-error),
		       error ? 0 : response.status);
		return false;
	}
	if (client->used == client->consumed && !recv(client->fd, &byte, 1, 0))
		return true;
	printf("# %u: not a clean end: %s\n", turn, strerror(errno));
	return false;
}

/* Several connections at a time: where more may come the gate waits a moment before it ends one. */
static void end_many(uint16_t port, const char *line, const char *key, enum manner manner,
		     int status)
{
	char bytes[1024 + BODY_SIZE];
	size_t head = put_request(bytes, sizeof(bytes), line, key, manner);
	struct client clients[AT_A_TIME];
	unsigned int failed = 0, times = full_run() ? TIMES_FULL : TIMES;

	for (unsigned int turn = 0; turn < times && failed < 5; turn += AT_A_TIME) {
		for (int i = 0; i < AT_A_TIME; i++) {
			assert_int_equal(client_connect(&clients[i], port), 0);
			send_request(&clients[i], bytes, head, manner, turn + i);
		}
		for (int i = 0; i < AT_A_TIME; i++) {
			failed += !ends_well(&clients[i], status, turn + i);
			client_close(&clients[i]);
		}
	}
	if (failed)
		fail_msg("%s: %u connections without %d and a clean end", line, failed, status);
}

#define CLOSE "\r\nConnection: close"

static void admitted(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(10000, 100000);

	for (enum manner manner = WHOLE; manner <= SPLIT; manner++) {
		end_many(application->port, "GET / HTTP/1.1" CLOSE, key.text, manner, 200);
		end_many(application->port, "GET / HTTP/1.0", key.text, manner, 200);
	}
}

static void unauthorized(void **state)
{
	const struct application *application = *state;

	for (enum manner manner = WHOLE; manner <= WITH_BODY; manner++) {
		end_many(application->port, "POST / HTTP/1.1" CLOSE, NULL, manner, 401);
		end_many(application->port, "POST / HTTP/1.0", unknown_key(), manner, 401);
	}
}

static void limited(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1, 1);

	/* The day's limit of one request holds over the minute. */
	need_window_ms(5000);
	assert_int_equal(client_get(client_open(application->port), "/", key.text), 200);
	for (enum manner manner = WHOLE; manner <= WITH_BODY; manner++)
		end_many(application->port, "POST / HTTP/1.1" CLOSE, key.text, manner, 429);
}

static void malformed(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(10000, 100000);
	unsigned int minute, day;

	for (enum manner manner = WHOLE; manner <= WITH_BODY; manner++)
		end_many(application->port, "POST /bad HTTP/1.1\r\nFolded: a\r\n b", key.text,
			 manner, 400);
	key_used(&key, &minute, &day);
	assert_int_equal(day, 0);
	expect_seen(application, "/bad", 0);
}

/* --- the client's end right behind its requests ---------------------------------------------------- */

/* Two requests, the first with a body that takes a while to judge. Returns their length. */
static size_t put_long(char *to, const char *key)
{
	size_t length = sprintf(to,
				"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
				"Content-Length: %d\r\n\r\n",
				key, BODY_SIZE);

	memset(to + length, 'b', BODY_SIZE);
	length += BODY_SIZE;
	return length + sprintf(to + length, "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n");
}

/*
 * A verdict may be at work when the client's end arrives. The application that sees it closes, and what
 * the relay has to judge by then is lost.
 */
static void half_closed(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(10000, 100000);
	char bytes[1024 + BODY_SIZE];
	size_t length = put_long(bytes, key.text);
	struct client clients[AT_A_TIME];
	struct response response;

	for (int turn = 0; turn < 50; turn++) {
		for (int i = 0; i < AT_A_TIME; i++) {
			assert_int_equal(client_connect(&clients[i], application->port), 0);
			client_send(&clients[i], bytes, length);
			shutdown(clients[i].fd, SHUT_WR);
		}
		for (int i = 0; i < AT_A_TIME; i++) {
			int error = client_read(&clients[i], false, &response);

			if (error)
				fail_msg("turn %d, %d: no answer: %s", turn, i, strerror(-error));
			expect_admitted(&response, 200);
			error = client_read(&clients[i], false, &response);
			if (error)
				fail_msg("turn %d, %d: no refusal: %s", turn, i, strerror(-error));
			expect_refusal(&response, 401, NULL);
			client_close(&clients[i]);
		}
	}
}

/* --- small segments, small windows ---------------------------------------------------------------- */

/* A connection of the harness whose segments and window are so small. */
static struct client *open_small(uint16_t port, int segment, int window)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct client *client = client_open(port);

	/* Both must be set before the handshake. */
	close(client->fd);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(client->fd >= 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
	setsockopt(client->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return client;
}

/* The kernel takes an answer of many segments at once all the same. */
static void refused_by_small_segments(void **state)
{
	static const int segments[] = { 88, 100, 536 }, windows[] = { 2048, 8192, 262144 };
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);

	for (size_t i = 0; i < ARRAY_SIZE(segments) * ARRAY_SIZE(windows); i++) {
		struct client *client =
			open_small(application->port, segments[i / ARRAY_SIZE(windows)],
				   windows[i % ARRAY_SIZE(windows)]);
		struct response response;

		for (int turn = 0; turn < 3; turn++) {
			client_ask(client, "GET", "/small", unknown_key(), "", &response);
			expect_refusal(&response, 401, NULL);
			assert_int_equal(client_get(client, "/small", key.text), 200);
		}
		client_close(client);
	}
}

/* Read to the end, 1 KiB at a time, with pauses as long as the answer is young. */
static void read_slowly(struct client *client, size_t body_size)
{
	size_t total = 0, head = 0;
	char bytes[1024];
	char start[2048] = "";
	ssize_t got;

	while ((got = recv(client->fd, bytes, sizeof(bytes), 0)) > 0) {
		if (!head) {
			assert_true(total + got < sizeof(start));
			memcpy(start + total, bytes, got);
			if (strstr(start, "\r\n\r\n"))
				head = strstr(start, "\r\n\r\n") + 4 - start;
		}
		total += got;
		if (total < 100 * sizeof(bytes))
			breathe();
	}
	assert_memory_equal(start, "HTTP/1.1 200", 12);
	if (got < 0)
		fail_msg("behind %zu bytes: %s", total, strerror(errno));
	assert_int_equal(total - head, body_size);
}

static void large_and_slow(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);

	for (int i = 0; i < 5; i++) {
		struct client *client = open_small(application->port, 1460, 8192);

		client_printf(client,
			      "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			      "Authorization: Bearer %s\r\n\r\n",
			      key.text);
		read_slowly(client, LARGE_SIZE);
	}
}

/*
 * What the kernel remembers of an answer that it took in parts must not be applied to the next: the
 * refusal behind it went out with bytes of its request in it.
 */
/* Returns false where the application has ended the connection for an EAGAIN (eagain_seen()). */
static bool ask_for_parts(const struct application *application, struct client *client,
			  const char *key)
{
	size_t eagain = eagain_seen(application);
	struct response response;

	for (int n = 0; n < 4; n++) {
		int status = client_ask(client, "GET", "/medium", key, "", &response);

		if (status == -ENODATA && eagain_seen(application) > eagain)
			return false;
		assert_int_equal(status, 200);
		assert_int_equal(response.body_length, MEDIUM_SIZE);
		for (size_t at = 0; at < response.body_length; at++)
			if (response.body[at] != response.body[0])
				fail_msg("byte %zu of answer %d is another", at, n);
		status = client_ask(client, "GET", "/refused", n % 2 ? unknown_key() : NULL, "",
				    &response);
		if (status == -ENODATA && eagain_seen(application) > eagain)
			return false;
		expect_refusal(&response, 401, NULL);
	}
	return true;
}

static void refusal_behind_parts(void **state)
{
	enum { CLIENTS = 10 };
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);
	unsigned int whole = 0;

	for (int i = 0; i < CLIENTS; i++) {
		struct client *client = open_small(application->port, 500, 4096);

		whole += ask_for_parts(application, client, key.text);
		client_close(client);
	}
	printf("# %u of %d connections were kept to the end\n", whole, CLIENTS);
	expect_seen(application, "/refused", 0);
}

/* The answer must not be lost where the application then closes by a reset. */
static void application_stays(void **state)
{
	struct response response;

	(void)state;
	stand_in_listen();
	client_patience_ms = 150; /* TCP sends what it keeps back after 200 */
	for (int i = 0; i < 10; i++) {
		int server;
		struct client *client = stand_in_meet(&server);

		client_printf(client, "GET / HTTP/1.0\r\n\r\n");
		assert_int_equal(client_read(client, false, &response), 0);
		assert_int_equal(response.status, 401);
		assert_true(client_sees_silence(client, 20));
		shutdown(server, SHUT_RDWR);
		assert_true(client_sees_end(client, PATIENCE_MS));
	}
	stand_in_leave();
}

static const struct promise promises[] = {
	{ "answers 200 each, heads whole and split, HTTP/1.0 and close: whole, then the end",
	  admitted, EACH_APPLICATION },
	{ "answers 401 each, heads whole, split and with bodies: whole, then the end", unauthorized,
	  EACH_APPLICATION },
	{ "answers 429 each, heads whole, split and with bodies: whole, then the end", limited,
	  EACH_APPLICATION },
	{ "answers 400 each, heads whole, split and with bodies: whole, then the end", malformed,
	  EACH_APPLICATION },
	{ "two requests and then the client's end: both are answered", half_closed,
	  EACH_APPLICATION },
	{ "the answer does not wait for the application to close", application_stays, ONCE },
	{ "a client of small segments gets its refusals", refused_by_small_segments,
	  EACH_APPLICATION },
	{ "1 MiB to a slow reader, then the end", large_and_slow, EACH_APPLICATION },
	{ "answers of 20 KiB to a client of small segments, then a refusal: every byte",
	  refusal_behind_parts, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
