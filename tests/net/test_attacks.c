// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What once got through, or out. The test is the application itself, so that it decides when and in
 * which pieces an answer is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"

#define ANSWER_MAX 300000
#define QUIET_MS   300
#define CHUNK	   100

static int listener = -1;
static int server = -1; /* the connection's other end */
static uint16_t port;

/* Take the place of an application on its port. */
static void listen_instead(int protocol)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct application *application = &applications[THREADED];
	int one = 1;

	if (application->pid)
		process_stop(application->pid, SIGTERM);
	application->pid = 0;
	port = application->port;
	address.sin_port = htons(port);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	assert_true(listener >= 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 16), 0);
}

static void stop_listening(void)
{
	if (server >= 0)
		close(server);
	close(listener);
	server = listener = -1;
}

/* A connection with small segments and a small window; the server's end is accepted. */
static struct client *open_small(int segment)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct client *client = client_open(port);
	int small = 4096;

	/* The harness' client is connected already: make its connection anew. */
	close(client->fd);
	server = accept(listener, NULL, NULL);
	close(server);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(client->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	return client;
}

static void ask(struct client *client, const char *key)
{
	client_printf(client, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", key);
}

/* Refused; what is in it must never be seen again. */
static void ask_marked(struct client *client)
{
	client_printf(client, "GET / HTTP/1.1\r\nHost: a\r\nX: ZZZZZZZZZZZZZZZZZZZZZZZZZZ\r\n\r\n");
}

static void receive_request(void)
{
	char request[2048];

	assert_true(recv(server, request, sizeof(request), 0) > 0);
}

/* An answer whose body is `length` times 'A'. Returns its size. */
static size_t make_answer(char *answer, size_t length)
{
	size_t head = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);

	memset(answer + head, 'A', length);
	return head + length;
}

/* Write what the socket takes now. Returns how much that was. */
static size_t write_some(const char *bytes, size_t size)
{
	ssize_t sent = send(server, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent > 0 ? (size_t)sent : 0;
}

/*
 * Write the rest of the answer and read it, in turn, until `size` bytes of it and the two headers have
 * come or nothing more does. Returns what was read.
 */
static size_t exchange(struct client *client, const char *answer, size_t written, size_t size,
		       char *ret_read)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	size_t got = 0;

	while (got < size && monotonic_ms() < end_ms) {
		struct pollfd readable = { .fd = client->fd, .events = POLLIN };
		ssize_t n;

		written += write_some(answer + written, size - written);
		if (poll(&readable, 1, 20) != 1)
			continue;
		n = recv(client->fd, ret_read + got, ANSWER_MAX - got, MSG_DONTWAIT);
		if (n <= 0)
			break;
		got += n;
	}
	return got;
}

static void expect_untouched(const char *read, size_t got, size_t length)
{
	const char *body = memmem(read, got, "\r\n\r\n", 4);

	assert_non_null(body);
	body += 4;
	for (size_t i = 0; i < length && body + i < read + got; i++)
		if (body[i] != 'A')
			fail_msg("byte %zu of the body is %#x", i, body[i]);
	assert_null(memmem(read, got, "ZZ", 2));
}

/* While a part of an answer is unsent the kernel does not ask the message program. */
static void second_request(void **state)
{
	static char answer[ANSWER_MAX], read[ANSWER_MAX];
	struct key key = key_limited(1000, 10000);
	size_t size = make_answer(answer, 200000);

	listen_instead(0);
	for (int i = 0; i < 4; i++) {
		struct client *client = open_small(1000);
		size_t written, got;

		ask(client, key.text);
		receive_request();
		written = write_some(answer, size);
		assert_in_range(written, 1, size - 1);
		ask_marked(client);
		got = exchange(client, answer, written, size, read);
		expect_untouched(read, got, 200000);
		client_close(client);
		close(server);
	}
	server = -1;
	stop_listening();
}

static void many_chunks(void **state)
{
	enum { CHUNKS = 3000 };
	static const char chunk[] = "1\r\nA\r\n";
	static char answer[ANSWER_MAX];
	struct key key = key_limited(1000, 10000);
	struct response response;
	struct client *client;
	size_t size = sprintf(answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

	for (int i = 0; i < CHUNKS; i++)
		size += sprintf(answer + size, "%s", chunk);
	size += sprintf(answer + size, "0\r\n\r\n");
	listen_instead(0);
	client = client_open(port);
	server = accept(listener, NULL, NULL);
	for (int round = 0; round < 3; round++) {
		ask(client, key.text);
		receive_request();
		assert_int_equal(send(server, answer, size, MSG_NOSIGNAL), size);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, 200);
		assert_int_equal(response.body_length, CHUNKS);
	}
	stop_listening();
}

/* An application that takes a body it did not read for a request answers once more. */
static void unasked_answer(void **state)
{
	static char answers[256];
	struct key key = key_limited(1000, 10000);
	struct response response;
	size_t size = make_answer(answers, 10);

	listen_instead(0);
	for (int together = 0; together < 2; together++) {
		struct client *client = client_open(port);

		server = accept(listener, NULL, NULL);
		ask(client, key.text);
		receive_request();
		memcpy(answers + size, answers, size);
		send(server, answers, together ? 2 * size : size, MSG_NOSIGNAL);
		if (!together)
			send(server, answers, size, MSG_NOSIGNAL);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, 200);
		assert_true(client_sees_silence(client, QUIET_MS));
		close(server);
		client_close(client);
	}
	server = -1;
	stop_listening();
}

/* The first data of a multipath connection comes with its handshake, before it can be enrolled. */
static void multipath(void **state)
{
	static const char request[] = "GET /multipath HTTP/1.1\r\nHost: a\r\n\r\n";
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_MPTCP);
	struct pollfd writable = { .fd = client, .events = POLLOUT }, ready;
	char bytes[256];
	int one = 1;

	if (client < 0)
		skip();
	listen_instead(IPPROTO_MPTCP);
	address.sin_port = htons(port);
	setsockopt(client, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof(one));
	connect(client, (struct sockaddr *)&address, sizeof(address));
	poll(&writable, 1, QUIET_MS);
	send(client, request, sizeof(request) - 1, MSG_NOSIGNAL);
	ready = (struct pollfd){ .fd = listener, .events = POLLIN };
	if (poll(&ready, 1, QUIET_MS) == 1) {
		server = accept(listener, NULL, NULL);
		ready = (struct pollfd){ .fd = server, .events = POLLIN };
		poll(&ready, 1, QUIET_MS);
		assert_true(recv(server, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0);
	}
	close(client);
	stop_listening();
}

/* Bytes of the server's send buffer that are free; it stands still while its client does not read. */
static int room_left(void)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t length = sizeof(info);

	assert_int_equal(getsockopt(server, SOL_SOCKET, SO_MEMINFO, info, &length), 0);
	return (int)(info[SK_MEMINFO_SNDBUF] - info[SK_MEMINFO_WMEM_QUEUED]);
}

/* Begin an answer of chunks, as many as leave so much room. Returns its size; its end is not sent. */
static size_t fill_send_buffer(int room, char *ret_answer)
{
	size_t size = sprintf(ret_answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	size_t sent = 0;

	while (size < ANSWER_MAX / 2) {
		assert_int_equal(send(server, ret_answer + sent, size - sent, MSG_NOSIGNAL),
				 size - sent);
		sent = size;
		/* What is on its way leaves the buffer, as long as the window has room for it. */
		for (int i = 0; i < 20 && room_left() <= room; i++)
			breathe();
		if (room_left() <= room)
			break;
		size += sprintf(ret_answer + size, "%x\r\n%0*d\r\n", CHUNK, CHUNK, 0);
	}
	return size;
}

/*
 * A long answer, then short ones, while the client reads nothing. Returns for how many of those there was
 * little room, and yet enough: TIGHT to ROOMY bytes.
 */
static unsigned int answer_tightly(struct client *client, int room, const char *key)
{
	enum { ANSWERS = 3, TIGHT = 200, ROOMY = 2000 };
	static char filling[ANSWER_MAX];
	struct response response;
	unsigned int tight = 0;
	bool enough[ANSWERS];
	char answer[128];
	size_t size = make_answer(answer, 10);

	/* All at once: what the client sends later would acknowledge, and bring room. */
	for (int n = 0; n < 1 + ANSWERS; n++)
		ask(client, key);
	receive_request();
	fill_send_buffer(room, filling);
	assert_int_equal(send(server, "0\r\n\r\n", 5, MSG_NOSIGNAL), 5);
	for (int n = 0; n < ANSWERS; n++) {
		receive_request();
		enough[n] = room_left() > TIGHT;
		tight += enough[n] && room_left() < ROOMY;
		assert_int_equal(send(server, answer, size, MSG_NOSIGNAL), size);
	}
	assert_int_equal(client_read(client, false, &response), 0);
	for (int n = 0; n < ANSWERS; n++) {
		assert_int_equal(client_read(client, false, &response), 0);
		if (enough[n])
			expect_admitted(&response, 200);
	}
	return tight;
}

static void little_room(void **state)
{
	static const int segments[] = { 100, 1460 };
	struct key key = key_limited(1000, 10000);
	int buffer = 32768;

	listen_instead(0);
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
		unsigned int tight = 0;

		for (int room = 1400; room <= 3000; room += 200) {
			struct client *client = open_small(segments[i]);

			setsockopt(server, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
			tight += answer_tightly(client, room, key.text);
			client_close(client);
			close(server);
		}
		assert_true(tight > 0);
	}
	server = -1;
	stop_listening();
}

/* Leave out the gate's headers. Returns how many bytes are left. */
static size_t without_headers(char *bytes, size_t size)
{
	static const char name[] = "X-RateLimit-";
	char *line;

	while ((line = memmem(bytes, size, name, sizeof(name) - 1))) {
		char *end = memchr(line, '\n', bytes + size - line);

		if (!end) /* the rest is still to come */
			break;
		memmove(line, end + 1, bytes + size - (end + 1));
		size -= end + 1 - line;
	}
	return size;
}

/* What a client has read. */
struct reading {
	struct client *client;
	char bytes[ANSWER_MAX];
	size_t size;
};

static void read_some(struct reading *reading)
{
	struct pollfd readable = { .fd = reading->client->fd, .events = POLLIN };
	ssize_t got;

	if (poll(&readable, 1, 20) != 1)
		return;
	got = recv(readable.fd, reading->bytes + reading->size, ANSWER_MAX - reading->size,
		   MSG_DONTWAIT);
	assert_true(got > 0);
	reading->size += got;
}

/* Write as an application does that does not wait; read only where the socket takes no more. */
static void write_out(struct reading *reading, const char *bytes, size_t size)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	size_t written = 0;

	while ((written += write_some(bytes + written, size - written)) < size) {
		assert_true(monotonic_ms() < end_ms);
		read_some(reading);
	}
}

/* A long answer and short ones behind it, the first of which begin where so much room is left. */
static void answer_into(struct reading *reading, int room, const char *key)
{
	static char answers[ANSWER_MAX];
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	size_t size, more;

	ask(reading->client, key);
	receive_request();
	size = fill_send_buffer(room, answers);
	for (int n = 0; n < 20; n++) {
		more = n ? make_answer(answers + size, n)
			 : (size_t)sprintf(answers + size, "0\r\n\r\n");
		write_out(reading, answers + size, more);
		size += more;
		ask(reading->client, key);
		receive_request();
	}
	while ((reading->size = without_headers(reading->bytes, reading->size)) < size) {
		assert_true(monotonic_ms() < end_ms);
		read_some(reading);
	}
	assert_int_equal(reading->size, size);
	assert_memory_equal(reading->bytes, answers, size);
}

/*
 * At the very end of the room the kernel may take a part of what is written. No byte is lost or doubled,
 * whether or not an answer gets headers.
 */
static void no_room(void **state)
{
	static const int segments[] = { 100, 536, 1460 };
	static struct reading reading;
	struct key key = key_limited(10000, 100000);
	int buffer = 32768;

	listen_instead(0);
	for (int room = 0; room < 1200; room += 100) {
		reading.size = 0;
		reading.client = open_small(segments[room / 100 % 3]);
		setsockopt(server, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
		answer_into(&reading, room, key.text);
		client_close(reading.client);
		close(server);
	}
	server = -1;
	stop_listening();
}

static const struct promise promises[] = {
	{ "a request that comes while an answer is written in parts: nothing of it gets out",
	  second_request, 0 },
	{ "an answer of 3,000 chunks in one write is followed to its end", many_chunks, 0 },
	{ "an answer that no counted request asked for does not get out", unasked_answer, 0 },
	{ "answers to a send buffer that is nearly full get their headers", little_room, 0 },
	{ "answers at the very end of a send buffer: no byte is lost or doubled", no_room, 0 },
	{ "a multipath connection brings no request in unjudged", multipath, 0 },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
