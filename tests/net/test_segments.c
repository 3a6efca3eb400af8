// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Segments as a network delivers them at its worst: bytes that come again together with new ones,
 * over each other, or damaged.
 */
#include <string.h>

#include "harness.h"
#include "http_client.h"
#include "segment.h"

#define QUIET_MS 300

/* To a target that tells by the key's id whose request it is. */
static size_t make_request(char *request, const char *target, const struct key *key)
{
	return sprintf(request,
		       "GET /%s-%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", target,
		       key->id, key->text);
}

static void expect_target_seen(struct application *application, const char *target,
			       const struct key *key, size_t count)
{
	char text[64];

	snprintf(text, sizeof(text), "/%s-%s", target, key->id);
	expect_seen(application, text, count);
}

/* Two requests, of which the application is to see one each. */
struct pair {
	struct application *application;
	struct client *client;
	struct key key;
	char bytes[1024];
	size_t first; /* bytes of the first request */
	size_t both;
};

static void begin_pair(struct pair *pair, void **state)
{
	pair->application = *state;
	pair->key = key_limited(1000, 10000);
	pair->client = client_open(pair->application->port);
	pair->first = make_request(pair->bytes, "first", &pair->key);
	pair->both = pair->first + make_request(pair->bytes + pair->first, "second", &pair->key);
}

/* The client's own TCP learns that it has sent these, too; to the other end they are old. */
static void catch_up(const struct pair *pair, size_t from)
{
	assert_int_equal(client_send(pair->client, pair->bytes + from, pair->both - from), 0);
}

static void expect_each_once(struct pair *pair, unsigned int answers)
{
	struct response response;
	unsigned int minute, day;

	while (answers--) {
		assert_int_equal(client_read(pair->client, false, &response), 0);
		expect_admitted(&response, 200);
	}
	assert_int_equal(client_get(pair->client, "/third", pair->key.text), 200);
	assert_true(client_sees_silence(pair->client, QUIET_MS));
	expect_target_seen(pair->application, "first", &pair->key, 1);
	expect_target_seen(pair->application, "second", &pair->key, 1);
	key_used(&pair->key, &minute, &day);
	assert_int_equal(day, 3);
}

/* As TCP sends again what it has joined meanwhile, because an acknowledgement was lost. */
static void repeated(void **state)
{
	struct response response;
	struct pair pair;

	begin_pair(&pair, state);
	assert_int_equal(client_send(pair.client, pair.bytes, pair.first), 0);
	assert_int_equal(client_read(pair.client, false, &response), 0);
	send_segment(pair.client, &(struct segment){ .bytes = pair.bytes,
						     .length = pair.both,
						     .at = -(int32_t)pair.first });
	catch_up(&pair, pair.first);
	expect_each_once(&pair, 1);
}

/* A segment waits behind a hole, and what fills the hole reaches into it. */
static void over_each_other(void **state)
{
	enum { INTO = 30 };
	struct pair pair;

	begin_pair(&pair, state);
	send_segment(pair.client, &(struct segment){ .bytes = pair.bytes + pair.first - INTO,
						     .length = pair.both - pair.first + INTO,
						     .at = pair.first - INTO });
	send_segment(pair.client, &(struct segment){ .bytes = pair.bytes, .length = pair.first });
	catch_up(&pair, 0);
	expect_each_once(&pair, 2);
}

/*
 * The end of a head, then its begin. When the hole is filled both are there at once, of which neither is
 * passed. An application that sleeps in recv() must not be woken for that: it is told EAGAIN, and closes.
 */
static void in_disorder(void **state)
{
	enum { ROUNDS = 20, INTO = 30 };
	struct application *application = *state;
	struct key key = key_limited(1000, 10000);
	struct client *client = client_open(application->port);
	struct response response;
	char request[512];
	size_t length = make_request(request, "disorder", &key);

	assert_int_equal(client_get(client, "/", key.text), 200);
	for (int round = 0; round < ROUNDS; round++) {
		send_segment(client, &(struct segment){ .bytes = request + INTO,
							.length = length - INTO - 2,
							.at = INTO });
		send_segment(client, &(struct segment){ .bytes = request, .length = INTO });
		assert_int_equal(client_send(client, request, length), 0);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, 200);
	}
	expect_target_seen(application, "disorder", &key, ROUNDS);
}

/* TCP throws such a segment away. Nobody may make its checksum right before TCP has seen it. */
static void damaged(void **state)
{
	struct application *application = *state;
	struct key key = key_limited(1000, 10000);
	struct client *client = client_open(application->port);
	unsigned int minute, day;
	char request[512];

	for (int fin = 0; fin < 2; fin++) {
		send_segment(client,
			     &(struct segment){ .bytes = request,
						.length = make_request(request, "damaged", &key),
						.fin = fin,
						.damaged = true });
		assert_true(client_sees_silence(client, QUIET_MS));
	}
	assert_int_equal(client_get(client, "/whole", key.text), 200);
	key_used(&key, &minute, &day);
	assert_int_equal(day, 1);
	expect_target_seen(application, "damaged", &key, 0);
}

static const struct promise promises[] = {
	{ "a segment that repeats bytes with new ones behind: none is judged twice", repeated,
	  EACH_APPLICATION },
	{ "segments that lie over each other: none of their bytes is judged twice", over_each_other,
	  EACH_APPLICATION },
	{ "the end of a head comes before its begin: nobody is woken for it", in_disorder,
	  EACH_APPLICATION },
	{ "a damaged segment is thrown away, with the end of the stream in it, too", damaged,
	  EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
