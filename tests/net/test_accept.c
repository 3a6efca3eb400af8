// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What comes before the application has called accept(): no verdict is asked for until it first
 * reads. What the verdict eats then must not look as if it were still there to be read.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "harness.h"
#include "http_client.h"
#include "stand_in.h"

#define MOMENT_MS 50
#define SPARED_MS 100

#define HOST	   "Host: a\r\n"
#define ANSWER	   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define GOOD(what) "GET /" what " HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n"
#define REFUSED	   "GET /refused HTTP/1.1\r\n" HOST "\r\n"

/* Bytes that come before accept(), and what becomes of them. Keys are filled in. */
struct early {
	const char *name;
	const char *bytes;
	const char *read;     /* in what the application reads of them; "": it reads nothing */
	const char *statuses; /* of the answers that follow from them */
	const char *rest;     /* bytes of the request that follows */
};

static const struct early earlies[] = {
	{ "a refused request", REFUSED, "", "401", GOOD("rest") },
	{ "two refused requests", REFUSED REFUSED, "", "401 401", GOOD("rest") },
	{ "a refused request and a part of its body",
	  "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel", "", "401", "lo" GOOD("rest") },
	{ "the begin of a head", "GET /rest HTTP/1.1\r\nHo", "", "",
	  "st: a\r\nAuthorization: Bearer %s\r\n\r\n" },
	{ "one byte", "G", "", "",
	  "ET /rest HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n" },
	{ "a good and a refused request", GOOD("good") REFUSED, "/good", "200 401", GOOD("rest") },
	{ "a refused request and the begin of a head", REFUSED "GET /re", "", "401",
	  "st HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n" },
	{ "a good request and the begin of a head", GOOD("good") "GET /rest HT", "/good", "200",
	  "TP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n" },
};

static void await_received(const struct client *client)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	int left = 1;

	while (left && monotonic_ms() < end_ms) {
		assert_int_equal(ioctl(client->fd, SIOCOUTQ, &left), 0);
		breathe();
	}
	assert_int_equal(left, 0);
}

/* The application's first recv() asks for the verdict. */
static void expect_read(int server, const char *text)
{
	char bytes[1024];

	if (*text) {
		stand_in_read(server, text, bytes, sizeof(bytes));
		return;
	}
	assert_int_equal(recv(server, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_statuses(struct client *client, const char *statuses)
{
	struct response response;
	int status, length;

	for (; sscanf(statuses, "%d%n", &status, &length) == 1; statuses += length) {
		assert_int_equal(client_read(client, false, &response), 0);
		assert_int_equal(response.status, status);
	}
}

/* Until what was eaten is hidden the application may look a few times: a moment, not a spin. */
static bool settles(int server)
{
	uint64_t end_ms = monotonic_ms() + MOMENT_MS;

	while (!stand_in_is_spared(server, 0))
		if (monotonic_ms() > end_ms)
			return false;
	return stand_in_is_spared(server, SPARED_MS);
}

static void check(const struct early *early, const struct key *key)
{
	struct client *client = client_open(applications[THREADED].port);
	char bytes[1024];
	int server;

	client_printf(client, early->bytes, key->text);
	await_received(client);
	server = stand_in_accept();
	expect_read(server, early->read);
	if (*early->read)
		stand_in_write(server, ANSWER);
	expect_statuses(client, early->statuses);
	for (int i = 0; i < 2; i++) {
		if (!settles(server))
			fail_msg("%s: the application is woken for what it cannot read",
				 early->name);
		client_printf(client, i ? GOOD("rest") : early->rest, key->text);
		stand_in_read(server, "\r\n\r\n", bytes, sizeof(bytes));
		assert_ptr_equal(strstr(bytes, "GET /rest"), bytes);
		stand_in_write(server, ANSWER);
		expect_statuses(client, "200");
	}
	assert_true(stand_in_is_spared(server, SPARED_MS));
}

static void eaten(void **state)
{
	struct key key = key_limited(1000, 10000);

	(void)state;
	stand_in_listen();
	for (size_t i = 0; i < ARRAY_SIZE(earlies); i++)
		check(&earlies[i], &key);
	stand_in_leave();
}

static void limit_unsent(int server, int bytes)
{
	assert_int_equal(setsockopt(server, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes)),
			 0);
}

/* A refusal has no room in the send buffer, so that nothing goes out. */
static void expect_wait(const char *bytes, const char *statuses)
{
	struct client *client = client_open(applications[THREADED].port);
	int server;

	client_printf(client, bytes);
	await_received(client);
	server = stand_in_accept();
	limit_unsent(server, 1);
	expect_read(server, "");
	if (!settles(server))
		fail_msg("the application is woken for what it cannot read");
	limit_unsent(server, -1);
	expect_statuses(client, statuses);
	assert_true(stand_in_is_spared(server, SPARED_MS));
}

static void waits(void **state)
{
	(void)state;
	stand_in_listen();
	expect_wait(REFUSED, "401");
	expect_wait(REFUSED REFUSED, "401 401");
	stand_in_leave();
}

static const struct promise promises[] = {
	{ "what was eaten is not there to be read: nobody polls in vain", eaten, ONCE },
	{ "likewise what can be judged only when there is room for the answer", waits, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
