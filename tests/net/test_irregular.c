// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What two readers may read differently is answered 400 (or as its row says) and closed. Nothing of it
 * reaches the application, whatever follows. All cases are in test_cases.c; these are for every
 * application.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_client.h"

/* Sent as it stands; each %K is a good key. A \1 cuts it: what follows is a segment of its own. */
struct irregular {
	const char *name;
	const char *bytes;
	int status;
};

#define HOST "Host: api.test\r\n"
#define GOOD "Authorization: Bearer %K\r\n"

static const struct irregular irregulars[] = {
	{ "both framings",
	  "POST /bad HTTP/1.1\r\n" HOST GOOD
	  "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	  400 },
	{ "CONNECT", "CONNECT api.test:80 HTTP/1.1\r\n" HOST GOOD "\r\n", 400 },
	{ "a bare LF in a second segment", "GET /bad HTTP/1.1\r\n\1" HOST GOOD "X: y\n\r\n", 400 },
	{ "a bare LF, byte by byte", "G\1E\1T\1 /bad HTTP/1.1\1\n" HOST GOOD "\r\n", 400 },
	{ "a bare LF", "GET /bad HTTP/1.1\n" HOST GOOD "\r\n", 400 },
	{ "a head ended by bare LFs", "GET /bad HTTP/1.1\r\n" HOST GOOD "X: y\n\n\r\n\r\n", 400 },
	{ "a space before the colon",
	  "GET /bad HTTP/1.1\r\n" HOST GOOD "Content-Length : 5\r\n\r\nhello", 400 },
	{ "two lengths",
	  "POST /bad HTTP/1.1\r\n" HOST GOOD "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
	  400 },
	{ "a length with a sign", "POST /bad HTTP/1.1\r\n" HOST GOOD "Content-Length: +1\r\n\r\nx",
	  400 },
	{ "a length as no length is",
	  "POST /bad HTTP/1.1\r\n" HOST GOOD "Content_Length: 1\r\n\r\nx", 400 },
	{ "two credentials", "GET /bad HTTP/1.1\r\n" HOST GOOD GOOD "\r\n", 400 },
	{ "a folded line", "GET /bad HTTP/1.1\r\n" HOST GOOD "X: y\r\n z\r\n\r\n", 400 },
	{ "no Host", "GET /bad HTTP/1.1\r\n" GOOD "\r\n", 400 },
	{ "two Hosts", "GET /bad HTTP/1.1\r\n" HOST HOST GOOD "\r\n", 400 },
	{ "noise", "\x16\x03\x03\x02\x05\x02\x03\xfc\x03\x03\r\n\r\n", 400 },
	{ "a name for its own connection",
	  "GET /bad HTTP/1.1\r\n" HOST GOOD "Connection: authorization\r\n\r\n", 400 },
	{ "HTTP/2.0", "GET /bad HTTP/2.0\r\n" HOST GOOD "\r\n", 505 },
	{ "HTTP/1.2", "GET /bad HTTP/1.2\r\n" HOST GOOD "\r\n", 505 },
	{ "the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
	{ "HTTP/0.9", "GET /bad\r\n\r\n", 505 },
};

/* Send the row's bytes, segment by segment; what the peer closes in between is its right. */
static void send_row(struct client *client, const char *bytes, const char *key)
{
	char text[1024];
	size_t length = 0;

	for (; *bytes; bytes++) {
		if (*bytes == '\1') {
			client_send(client, text, length);
			length = 0;
			breathe();
		} else if (!strncmp(bytes, "%K", 2)) {
			length += snprintf(text + length, sizeof(text) - length, "%s", key);
			bytes++;
		} else {
			text[length++] = *bytes;
		}
		assert_true(length < sizeof(text));
	}
	client_send(client, text, length);
}

static bool ends_refused(struct client *client, const struct irregular *row,
			 struct response *response)
{
	int error = client_read(client, false, response);

	if (error || response->status != row->status) {
		printf("# %s: %s, status %d\n", row->name, strerror(-error),
		       error ? 0 : response->status);
		return false;
	}
	expect_refusal(response, row->status, NULL);
	if (!client_sees_end(client, PATIENCE_MS)) {
		printf("# %s: not closed\n", row->name);
		return false;
	}
	return true;
}

/* All rows; first is a request that makes the connection an accepted one, or not. */
static void refuse_rows(const struct application *application, bool accepted)
{
	struct key key = key_limited(1000, 10000);
	struct response response;
	unsigned int wrong = 0, before, after, day;

	for (size_t i = 0; i < ARRAY_SIZE(irregulars); i++) {
		struct client *client = client_open(application->port);

		if (accepted)
			assert_int_equal(client_get(client, "/", key.text), 200);
		need_window_ms(1000);
		key_used(&key, &before, &day);
		send_row(client, irregulars[i].bytes, key.text);
		wrong += !ends_refused(client, &irregulars[i], &response);
		key_used(&key, &after, &day);
		if (after > before)
			printf("# %s: counted\n", irregulars[i].name);
		wrong += after > before;
	}
	assert_int_equal(wrong, 0);
	expect_seen(application, "/bad", 0);
}

static void on_new(void **state)
{
	refuse_rows(*state, false);
}

static void on_accepted(void **state)
{
	refuse_rows(*state, true);
}

static void expect_one_refusal(uint16_t port, const char *head, int status)
{
	struct client *client = client_open(port);
	struct response response;

	client_send(client, head, strlen(head));
	assert_int_equal(client_read(client, false, &response), 0);
	expect_refusal(&response, status, NULL);
	assert_true(client_sees_end(client, PATIENCE_MS));
	client_close(client);
}

/* 16 KiB and 100 fields are the most. */
static void large_heads(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(0, 0);
	char *head = malloc(65536), filler[17000];
	size_t length;

	assert_non_null(head);
	memset(filler, 'x', sizeof(filler));
	length = sprintf(head,
			 "GET /bad HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\nX: %.17000s",
			 key.text, filler);
	strcpy(head + length, "\r\n\r\n");
	expect_one_refusal(application->port, head, 431);
	length = sprintf(head, "GET /bad HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n",
			 key.text);
	for (int i = 0; i < 99; i++)
		length += sprintf(head + length, "X-%d: y\r\n", i);
	strcpy(head + length, "\r\n");
	expect_one_refusal(application->port, head, 431);
	free(head);
	expect_seen(application, "/bad", 0);
}

/* The key behind many fields, in a head as long as is let through. */
static void long_head_passes(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	struct response response;
	char filler[7000];

	memset(filler, 'x', sizeof(filler));
	client_printf(client,
		      "GET / HTTP/1.1\r\n" HOST "X: %.7000s\r\nAuthorization: Bearer %s\r\n\r\n",
		      filler, key.text);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
}

/* Bytes behind a request that ends its connection are nobody's. */
static void after_the_end(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);

	for (int i = 0; i < 50; i++) {
		struct client *client = client_open(application->port);
		struct response response;

		client_printf(client, "GET /bad HTTP/1.1\nbad\r\n\r\n");
		client_printf(client,
			      "GET /after HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n",
			      key.text);
		client_read(client, false, &response);
	}
	expect_seen(application, "/after", 0);
}

static const struct promise promises[] = {
	{ "irregular requests on a new connection: refused, closed, uncounted", on_new,
	  EACH_APPLICATION },
	{ "irregular requests on an open connection: refused, closed, uncounted", on_accepted,
	  EACH_APPLICATION },
	{ "a head over 16 KiB or 100 fields: 431", large_heads, EACH_APPLICATION },
	{ "a key behind 7 KB of other fields is found", long_head_passes, EACH_APPLICATION },
	{ "nothing passes behind a 400", after_the_end, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
