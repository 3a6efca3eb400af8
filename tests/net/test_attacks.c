// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What once got through, or out. The test is the application itself, so that it decides when and in
 * which pieces an answer is written.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doors.h"
#include "harness.h"
#include "http_client.h"
#include "stand_in.h"
#include "util.h"

#define ANSWER_MAX 300000
#define QUIET_MS   300

static void many_chunks(void **state)
{
	enum { CHUNKS = 3000 };
	static const char chunk[] = "1\r\nA\r\n";
	static char answer[ANSWER_MAX];
	struct key key = key_limited(1000, 10000);
	struct response response;
	struct client *client;
	size_t size = sprintf(answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	int server;

	for (int i = 0; i < CHUNKS; i++)
		size += sprintf(answer + size, "%s", chunk);
	size += sprintf(answer + size, "0\r\n\r\n");
	stand_in_listen();
	client = stand_in_meet(&server);
	for (int round = 0; round < 3; round++) {
		client_request(client, key.text);
		stand_in_receive(server);
		assert_int_equal(send(server, answer, size, MSG_NOSIGNAL), size);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, 200);
		assert_int_equal(response.body_length, CHUNKS);
	}
	stand_in_leave();
}

/* An application that takes a body it did not read for a request answers once more. */
static void unasked_answer(void **state)
{
	static char answers[256];
	struct key key = key_limited(1000, 10000);
	struct response response;
	size_t size = stand_in_make_answer(answers, 10);

	stand_in_listen();
	for (int together = 0; together < 2; together++) {
		int server;
		struct client *client = stand_in_meet(&server);

		client_request(client, key.text);
		stand_in_receive(server);
		memcpy(answers + size, answers, size);
		send(server, answers, together ? 2 * size : size, MSG_NOSIGNAL);
		if (!together)
			send(server, answers, size, MSG_NOSIGNAL);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, 200);
		assert_true(client_sees_silence(client, QUIET_MS));
		client_close(client);
	}
	stand_in_leave();
}

/* The first data of a multipath connection comes with its handshake, before it can be enrolled. */
static void multipath(void **state)
{
	static const char request[] = "GET /multipath HTTP/1.1\r\nHost: a\r\n\r\n";
	static const struct door door = { .family = AF_INET, .protocol = IPPROTO_MPTCP };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(applications[THREADED].port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_MPTCP);
	struct pollfd writable = { .fd = client, .events = POLLOUT }, ready;
	int one = 1, listener, server;
	char bytes[256];

	if (client < 0)
		skip();
	listener = door_listen(&door);
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
		close(server);
	}
	close(client);
	door_leave();
}

/* A chunked body of one chunk, or the same bytes as an end and a request that nobody counts. */
static void make_body(char *ret_body, size_t size, bool stolen)
{
	int begin = stolen ? sprintf(ret_body, "0\r\n\r\n" STOLEN)
			   : sprintf(ret_body, "%08zx\r\n", size - 10 - 7);

	memset(ret_body + begin, 'A', size - begin);
	if (!stolen)
		memcpy(ret_body + size - 7, "\r\n0\r\n\r\n", 7);
}

/* Send pages that stay the client's. */
static void send_pages(struct client *client, int file, bool spliced, size_t size)
{
	loff_t offset = 0;
	int pipes[2];

	if (!spliced) {
		assert_int_equal(sendfile(client->fd, file, NULL, size), size);
		return;
	}
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(splice(file, &offset, pipes[1], NULL, size, 0), size);
	assert_int_equal(splice(pipes[0], NULL, client->fd, NULL, size, 0), size);
	close(pipes[0]);
	close(pipes[1]);
}

/* A client on this machine writes to its pages when they have been judged, and were not read yet. */
static void changed_when_judged(void **state)
{
	static const char *const head = "POST /judged HTTP/1.1\r\nHost: a\r\n"
					"Authorization: Bearer %s\r\n"
					"Transfer-Encoding: chunked\r\n\r\n";
	static char body[40000], got[50000];
	struct key key = key_limited(1000, 10000);

	stand_in_listen();
	for (int i = 0; i < 8; i++) {
		bool spliced = i & 1, together = i & 2;
		size_t size = i & 4 ? sizeof(body) : 400;
		int file = memfd_create("pages", MFD_CLOEXEC), server;
		struct client *client = stand_in_meet(&server);
		char text[512];
		int length = sprintf(text, head, key.text);

		make_body(body, size, false);
		assert_int_equal(write(file, body, size), size);
		assert_int_equal(lseek(file, 0, SEEK_SET), 0);
		assert_int_equal(send(client->fd, text, length, together ? MSG_MORE : 0), length);
		if (!together)
			stand_in_read(server, "\r\n\r\n", got, sizeof(got));
		send_pages(client, file, spliced, size);
		assert_true(door_delivered(client, PATIENCE_MS));
		make_body(body, size, true);
		assert_int_equal(pwrite(file, body, size, 0), size);
		stand_in_read(server, "\r\n0\r\n\r\n", got, sizeof(got));
		if (strstr(got, "stolen"))
			fail_msg("spliced %d, together %d, %zu bytes: a request got in", spliced,
				 together, size);
		client_close(client);
		close(file);
	}
	stand_in_leave();
}

/* A client that is gone when its answer is about to go out takes the relay, which is all clients', along. */
static void resets(void **state)
{
	enum { SECONDS = 3, LATEST_US = 60 };
	static const char request[] = "GET /reset HTTP/1.1\r\nHost: a\r\n\r\n";
	const struct application *application = *state;
	pid_t relay = process_find("sluiced-relay");
	uint64_t end = monotonic_us() + SECONDS * 1000000;
	struct response response;
	struct client client;
	uint32_t round;

	for (round = 0; monotonic_us() < end; round++) {
		uint64_t reset;

		assert_int_equal(client_connect(&client, application->port), 0);
		assert_int_equal(client_send(&client, request, sizeof(request) - 1), 0);
		assert_int_equal(client_read(&client, false, &response), 0);
		assert_int_equal(response.status, 401);
		assert_int_equal(client_send(&client, request, sizeof(request) - 1), 0);
		reset = monotonic_us() + round % LATEST_US;
		while (monotonic_us() < reset)
			;
		client_abort(&client);
	}
	assert_int_equal(process_find("sluiced-relay"), relay);
	expect_seen(application, "/reset", 0);
}

static const struct promise promises[] = {
	{ "an answer of 3,000 chunks in one write is followed to its end", many_chunks, 0 },
	{ "an answer that no counted request asked for does not get out", unasked_answer, 0 },
	{ "a multipath connection brings no request in unjudged", multipath, 0 },
	{ "chunks in pages that the client writes to: what was judged is what is read",
	  changed_when_judged, 0 },
	{ "clients that reset amid a refusal do not end the relay", resets, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
