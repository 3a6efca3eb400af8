// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What once got through, or out. The test is the application itself, so that it decides when and in
 * which pieces an answer is written.
 */
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

static void ask(struct client *client, const char *key)
{
	client_printf(client, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", key);
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

static const struct promise promises[] = {
	{ "an answer of 3,000 chunks in one write is followed to its end", many_chunks, 0 },
	{ "an answer that no counted request asked for does not get out", unasked_answer, 0 },
	{ "a multipath connection brings no request in unjudged", multipath, 0 },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
