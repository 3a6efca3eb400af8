// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What becomes of a connection: kept where the contract keeps it, ended without RST elsewhere. */
#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "http_client.h"

static void kept_over_401(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(1000, 10000);

	for (int i = 0; i < 50; i++) {
		assert_int_equal(client_get(client, "/", NULL), 401);
		assert_int_equal(client_get(client, "/", key.text), 200);
		assert_int_equal(client_get(client, "/", unknown_key()), 401);
	}
}

static void kept_over_429(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key small = key_limited(1, 100), large = key_limited(1000, 10000);

	need_window_ms(3000);
	assert_int_equal(client_get(client, "/", small.text), 200);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(client_get(client, "/", small.text), 429);
		assert_int_equal(client_get(client, "/", large.text), 200);
	}
}

/* Refused first, before the application's accept() may have returned. */
static void refused_at_once(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);

	for (int i = 0; i < 100; i++) {
		struct client *client = client_open(application->port);

		assert_int_equal(client_get(client, "/", i % 2 ? NULL : unknown_key()), 401);
		assert_int_equal(client_get(client, "/", key.text), 200);
		close_all_clients();
	}
}

/* Ask with these header lines, and expect the status, the whole answer, and end-of-file. */
static void expect_ended(uint16_t port, const char *version, const char *lines, const char *key,
			 int status)
{
	struct client *client = client_open(port);
	char value[HEADER_SIZE];
	struct response response;
	int error;

	client_printf(client, "GET / %s\r\nHost: api.test\r\n%s%s%s%s\r\n", version, lines,
		      key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "");
	error = client_read(client, false, &response);
	if (error)
		fail_msg("%s %s: no whole answer: %s", version, lines, strerror(-error));
	if (status == 200)
		expect_admitted(&response, status);
	else
		expect_refusal(&response, status, NULL);
	if (status == 200)
		assert_int_equal(response.body_length, 100);
	else if (*lines)
		assert_string_equal(header_value(&response, "Connection", value), "close");
	assert_true(client_sees_end(client, PATIENCE_MS));
}

static void close_asked(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000), small = key_limited(1, 1000);

	for (int i = 0; i < 20; i++) {
		const char *lines = i % 2 ? "Connection: close\r\n" : "connection: Close\r\n";

		need_window_ms(3000);
		expect_ended(application->port, "HTTP/1.1", lines, key.text, 200);
		expect_ended(application->port, "HTTP/1.1", lines, NULL, 401);
		expect_ended(application->port, "HTTP/1.1", lines, unknown_key(), 401);
		while (client_get(client_open(application->port), "/", small.text) != 429)
			;
		expect_ended(application->port, "HTTP/1.1", lines, small.text, 429);
	}
}

static void http10(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);

	for (int i = 0; i < 20; i++) {
		expect_ended(application->port, "HTTP/1.0", "", key.text, 200);
		expect_ended(application->port, "HTTP/1.0", "", NULL, 401);
	}
}

static int ask_http10(struct client *client, const char *key, struct response *response)
{
	client_printf(client,
		      "GET / HTTP/1.0\r\nHost: api.test\r\nConnection: keep-alive\r\n"
		      "Authorization: Bearer %s\r\n\r\n",
		      key);
	assert_int_equal(client_read(client, false, response), 0);
	return response->status;
}

static void http10_keep_alive(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(1000, 10000);
	char value[HEADER_SIZE];
	struct response response;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(ask_http10(client, unknown_key(), &response), 401);
		assert_string_equal(header_value(&response, "Connection", value), "keep-alive");
		assert_int_equal(ask_http10(client, key.text, &response), 200);
	}
}

/* A client that has said all it will say still gets what is due: 200 where it sent a good key. */
static void half_close(const struct application *application, bool good)
{
	struct key key = key_limited(1000, 10000);
	struct response response;

	for (int i = 0; i < 50; i++) {
		struct client *client = client_open(application->port);
		int error;

		client_printf(
			client,
			"GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %s\r\n%s\r\n",
			good ? key.text : unknown_key(), i % 2 ? "Connection: close\r\n" : "");
		shutdown(client->fd, SHUT_WR);
		error = client_read(client, false, &response);
		if (error)
			fail_msg("connection %d: no answer: %s", i, strerror(-error));
		assert_int_equal(response.status, good ? 200 : 401);
		assert_true(client_sees_end(client, PATIENCE_MS));
		client_close(client);
	}
}

static void half_close_admitted(void **state)
{
	half_close(*state, true);
}

static void half_close_refused(void **state)
{
	half_close(*state, false);
}

/* The gate's answers and the application's on many connections at once. */
static void side_by_side(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(10000, 100000);
	struct client *open[64];

	for (int i = 0; i < 64; i++)
		open[i] = client_open(application->port);
	for (int round = 0; round < 20; round++)
		for (int i = 0; i < 64; i++)
			assert_int_equal(client_get(open[i], "/", i % 2 ? key.text : NULL),
					 i % 2 ? 200 : 401);
}

static const struct promise promises[] = {
	{ "a connection is kept over 401", kept_over_401, EACH_APPLICATION },
	{ "a connection is kept over 429", kept_over_429, EACH_APPLICATION },
	{ "a new connection's first request may be refused", refused_at_once, EACH_APPLICATION },
	{ "Connection: close gets the whole answer, then end-of-file", close_asked,
	  EACH_APPLICATION },
	{ "HTTP/1.0 gets the whole answer, then end-of-file", http10, EACH_APPLICATION },
	{ "HTTP/1.0 with keep-alive keeps the connection", http10_keep_alive, EACH_APPLICATION },
	{ "a half-closed connection gets the application's answer", half_close_admitted,
	  EACH_APPLICATION },
	{ "a half-closed connection gets its refusal", half_close_refused, EACH_APPLICATION },
	{ "64 connections don't disturb each other", side_by_side, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
