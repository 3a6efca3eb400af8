// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Requests with a body: it reaches the application unchanged, or it is eaten to its last byte. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "http_client.h"

#define MEBIBYTE (1024 * 1024)

/* Bytes that look like requests, should anything ever take them for some. */
static char *make_body(size_t size)
{
	static const char request[] = "GET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n";
	char *body = malloc(size + 1);

	assert_non_null(body);
	for (size_t i = 0; i < size; i++)
		body[i] = request[i % (sizeof(request) - 1)];
	return body;
}

static void send_head(struct client *client, const char *name, const char *key, size_t size)
{
	client_printf(client,
		      "PUT /upload/%s HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %s\r\n"
		      "Content-Length: %zu\r\n\r\n",
		      name, key, size);
}

/* Send the body in pieces of so many bytes; between them, let what was sent arrive. */
static void send_pieces(struct client *client, const char *body, size_t size, size_t piece)
{
	for (size_t at = 0; at < size; at += piece) {
		assert_int_equal(
			client_send(client, body + at, size - at < piece ? size - at : piece), 0);
		if (size / piece < 100)
			breathe();
	}
}

static void expect_stored(const struct application *application, const char *name, const char *body,
			  size_t size)
{
	char path[160];
	size_t length;
	char *stored;
	bool equal;

	snprintf(path, sizeof(path), "%s/upload/%s", application->folder, name);
	stored = read_file(path, &length);
	equal = length == size && !memcmp(stored, body, size);
	free(stored);
	if (!equal)
		fail_msg("%zu bytes arrived of %zu, or others than were sent", length, size);
}

/* Upload a body in pieces, piece 0 together with the head; then the connection goes on. */
static void upload(const struct application *application, const char *name, size_t size,
		   size_t piece)
{
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	char *body = make_body(size);
	struct response response;
	char *whole = NULL;
	int length;

	if (piece) {
		send_head(client, name, key.text, size);
		send_pieces(client, body, size, piece);
	} else {
		length = asprintf(&whole,
				  "PUT /upload/%s HTTP/1.1\r\nHost: api.test\r\n"
				  "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%.*s",
				  name, key.text, size, (int)size, body);
		assert_int_equal(client_send(client, whole, length), 0);
		free(whole);
	}
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 201);
	expect_stored(application, name, body, size);
	assert_int_equal(client_get(client, "/", key.text), 200);
	free(body);
}

static void one_segment(void **state)
{
	upload(*state, "one-segment", 500, 0);
}

static void several_segments(void **state)
{
	upload(*state, "several-segments", 50000, 5000);
}

static void single_bytes(void **state)
{
	upload(*state, "single-bytes", 90, 1);
}

static void mebibyte(void **state)
{
	upload(*state, "mebibyte", MEBIBYTE, 16384);
}

static void mebibyte_at_once(void **state)
{
	upload(*state, "mebibyte-at-once", MEBIBYTE, 0);
}

/*
 * A refused request whose body follows: eaten exactly, so that a good request behind it is taken
 * for what it is. Nothing of the body is, and nothing of it reaches the application.
 */
static void refuse(const struct application *application, size_t size, size_t piece)
{
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	char *body = make_body(size);
	struct response response;

	for (int i = 0; i < 5; i++) {
		send_head(client, "refused", unknown_key(), size);
		send_pieces(client, body, size, piece);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_refusal(&response, 401, NULL);
		assert_int_equal(client_get(client, "/", key.text), 200);
	}
	free(body);
	assert_true(client_sees_silence(client, 50));
	expect_seen(application, "/smuggled", 0);
	expect_seen(application, "/upload/refused", 0);
}

static void refused_segments(void **state)
{
	refuse(*state, 20000, 2000);
}

static void refused_bytes(void **state)
{
	refuse(*state, 90, 1);
}

static void refused_large(void **state)
{
	refuse(*state, MEBIBYTE, 65536);
}

/* In one segment with the head. */
static void refused_at_once(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	char *body = make_body(1000);
	struct response response;

	for (int i = 0; i < 20; i++) {
		client_printf(client,
			      "POST /refused-at-once HTTP/1.1\r\nHost: api.test\r\n"
			      "Content-Length: 1000\r\n\r\n%.1000s",
			      body);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_refusal(&response, 401, NULL);
		assert_int_equal(client_get(client, "/", key.text), 200);
	}
	free(body);
	expect_seen(application, "/refused-at-once", 0);
	expect_seen(application, "/smuggled", 0);
}

/* A client need not send the body to learn that it is in vain. Where it does, nothing comes of it. */
static void refuse_early(const struct application *application, size_t size, size_t piece)
{
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	char *body = make_body(size);
	struct response response;

	for (int i = 0; i < 10; i++) {
		send_head(client, "early", unknown_key(), size);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_refusal(&response, 401, NULL);
		send_pieces(client, body, size, piece);
		assert_true(client_sees_silence(client, 5));
		assert_int_equal(client_get(client, "/", key.text), 200);
	}
	free(body);
	expect_seen(application, "/upload/early", 0);
	expect_seen(application, "/smuggled", 0);
}

static void early_segments(void **state)
{
	refuse_early(*state, 3000, 1000);
}

static void early_bytes(void **state)
{
	refuse_early(*state, 90, 1);
}

/* What is over the limit is not worth eating. */
static void early_too_large(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct response response;
	char value[HEADER_SIZE];

	send_head(client, "early", unknown_key(), MEBIBYTE + 1);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_refusal(&response, 401, NULL);
	assert_string_equal(header_value(&response, "Connection", value), "close");
	assert_true(client_sees_end(client, PATIENCE_MS));
	expect_seen(application, "/upload/early", 0);
}

/* In chunks, nobody knows before how much it is going to be. */
static void early_chunks(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	char chunk[0x1000 + 8];
	struct response response;
	int sent = 0;

	client_ask(client, "PUT", "/upload/early", unknown_key(), "Transfer-Encoding: chunked\r\n",
		   &response);
	expect_refusal(&response, 401, NULL);
	assert_int_equal(header_count(&response, "Connection"), 0);
	memset(chunk, 'x', sizeof(chunk));
	memcpy(chunk, "1000\r\n", 6);
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	while (sent < 2 * MEBIBYTE && !client_send(client, chunk, sizeof(chunk)))
		sent += sizeof(chunk);
	assert_true(sent > MEBIBYTE);
	assert_true(client_sees_end(client, PATIENCE_MS));
	expect_seen(application, "/upload/early", 0);
}

#define QUIET_MS 10000 /* after which a body is not waited for any more */

/* Open connections to all applications, and have a request with a body of 3 bytes refused on each. */
static size_t refuse_all(struct client *clients[APPLICATIONS])
{
	struct response response;
	size_t count = 0;

	for (int i = 0; i < APPLICATIONS; i++) {
		if (applications[i].missing)
			continue;
		clients[count] = client_open(applications[i].port);
		send_head(clients[count], "never", unknown_key(), 3);
		assert_int_equal(client_read(clients[count], false, &response), 0);
		expect_refusal(&response, 401, NULL);
		count++;
	}
	return count;
}

static void send_all(struct client *clients[APPLICATIONS], size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(client_send(clients[i], "x", 1), 0);
}

/* Of two connections to each application, one is silent; the other sends a byte now and then. */
static void body_never_comes(void **state)
{
	struct client *silent[APPLICATIONS], *slow[APPLICATIONS];
	uint64_t start_ms = monotonic_ms();
	size_t count = refuse_all(silent);
	struct key key = key_limited(0, 0);

	(void)state;
	refuse_all(slow);
	assert_true(client_sees_silence(silent[0], QUIET_MS * 2 / 3));
	send_all(slow, count);
	for (size_t i = 0; i < count; i++)
		assert_true(client_sees_end(silent[i], PATIENCE_MS));
	assert_in_range(monotonic_ms() - start_ms, QUIET_MS - 100, QUIET_MS + 5000);
	send_all(slow, count);
	assert_true(client_sees_silence(slow[0], QUIET_MS * 2 / 3));
	send_all(slow, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(client_get(slow[i], "/", key.text), 200);
}

static void valid_zero(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	struct response response;

	client_ask(client, "POST", "/", key.text, "Content-Length: 0\r\n", &response);
	assert_true(response.status == 200 || response.status == 405);
	client_ask(client, "POST", "/", unknown_key(), "Content-Length: 0\r\n", &response);
	expect_refusal(&response, 401, NULL);
	client_ask(client, "DELETE", "/", key.text, "", &response);
	assert_int_equal(client_get(client, "/", key.text), 200);
}

/* A body turns out bad when the application has written a part of its status line. */
static void begun(void **state)
{
	const char part[] = "HTTP/1.1 ";
	char bytes[256];
	struct key key = key_limited(0, 0);
	struct client *client;

	(void)state;
	if (applications[NODE].missing)
		skip();
	client = client_open(applications[NODE].port);
	client_printf(client,
		      "POST /begins HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n",
		      key.text);
	assert_int_equal(recv(client->fd, bytes, strlen(part), MSG_WAITALL), strlen(part));
	assert_memory_equal(bytes, part, strlen(part));
	client_printf(client, "no chunk\r\n");
	assert_true(recv(client->fd, bytes, sizeof(bytes), 0) <= 0);
}

static const struct promise promises[] = {
	{ "a body in one segment with the head arrives", one_segment, EACH_APPLICATION },
	{ "a body in several segments arrives", several_segments, EACH_APPLICATION },
	{ "a body byte by byte arrives", single_bytes, EACH_APPLICATION },
	{ "a body of 1 MiB arrives", mebibyte, EACH_APPLICATION },
	{ "a body of 1 MiB written at once with its head arrives", mebibyte_at_once,
	  EACH_APPLICATION },
	{ "a refused body in several segments is eaten exactly", refused_segments,
	  EACH_APPLICATION },
	{ "a refused body byte by byte is eaten exactly", refused_bytes, EACH_APPLICATION },
	{ "a refused body of 1 MiB is eaten exactly", refused_large, EACH_APPLICATION },
	{ "a refused body in one segment with its head is eaten", refused_at_once,
	  EACH_APPLICATION },
	{ "a refusal does not wait for the body, which is eaten when it comes", early_segments,
	  EACH_APPLICATION },
	{ "likewise where it comes byte by byte", early_bytes, EACH_APPLICATION },
	{ "a refused body of more than 1 MiB is not eaten: the connection ends", early_too_large,
	  EACH_APPLICATION },
	{ "a refused body in chunks ends the connection when it is over 1 MiB", early_chunks,
	  EACH_APPLICATION },
	{ "a refused body that never comes ends the connection after 10 seconds of silence",
	  body_never_comes, ONCE },
	{ "a body of no bytes is none", valid_zero, EACH_APPLICATION },
	{ "a body that turns bad behind the begin of an answer ends the connection, and no more",
	  begun, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
