// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Requests that follow without waiting: each is counted once, each gets its own answer, in order,
 * and the application is given what was counted and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_client.h"

#define REQUESTS    200
#define MANY	    1000
#define MEDIUM_SIZE 20480
#define LARGE_SIZE  (1024 * 1024)

/* Requests to be sent in one piece. */
struct batch {
	char *bytes;
	size_t size, room;
};

static void add(struct batch *batch, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct batch *batch, const char *format, ...)
{
	va_list arguments;
	int length;

	if (batch->room - batch->size < 16384) {
		batch->room = batch->room * 2 + 65536;
		batch->bytes = realloc(batch->bytes, batch->room);
		assert_non_null(batch->bytes);
	}
	va_start(arguments, format);
	length = vsnprintf(batch->bytes + batch->size, 16384, format, arguments);
	va_end(arguments);
	assert_in_range(length, 0, 16383);
	batch->size += length;
}

static void add_get(struct batch *batch, const char *target, const char *key)
{
	add(batch, "GET %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", target, key);
}

/* One call of send() where it fits the socket's buffer, which it does in these tests. */
static void send_batch(struct client *client, struct batch *batch)
{
	int error = client_send(client, batch->bytes, batch->size);

	free(batch->bytes);
	*batch = (struct batch){ 0 };
	if (error)
		fail_msg("sending: %s", strerror(-error));
}

static void expect_counted(const struct application *application, const struct key *key,
			   const char *text, unsigned int count)
{
	unsigned int minute, day;

	key_used(key, &minute, &day);
	assert_int_equal(day, count);
	expect_seen(application, text, count);
}

static struct response expect_answer(struct client *client, int number)
{
	struct response response;
	int error = client_read(client, false, &response);

	if (error)
		fail_msg("answer %d: %s", number, strerror(-error));
	return response;
}

/* The application's answer to "/echo/name/number". */
static void expect_echo(struct client *client, const char *name, int number)
{
	struct response response = expect_answer(client, number);
	char target[64];

	expect_admitted(&response, 200);
	snprintf(target, sizeof(target), " /echo/%s/%d", name, number);
	if (!holds(response.body, response.body_length, target))
		fail_msg("answer %d is another's: %.*s", number, (int)response.body_length,
			 response.body);
}

/* 200 in one segment, or one over several of them; every third has a key that is not valid. */
static void send_thirds(const struct application *application, const char *name, int count)
{
	struct client *client = client_open(application->port);
	struct key key = key_limited(10000, 100000);
	struct batch batch = { 0 };
	struct response response;
	char target[64], seen[64];

	for (int i = 0; i < count; i++) {
		snprintf(target, sizeof(target), "/echo/%s/%d", name, i);
		add_get(&batch, target, i % 3 == 2 ? unknown_key() : key.text);
	}
	send_batch(client, &batch);
	for (int i = 0; i < count; i++) {
		if (i % 3 != 2) {
			expect_echo(client, name, i);
			continue;
		}
		response = expect_answer(client, i);
		expect_refusal(&response, 401, NULL);
	}
	snprintf(seen, sizeof(seen), "/echo/%s/", name);
	expect_counted(application, &key, seen, count - count / 3);
	/* And the connection goes on. */
	assert_int_equal(client_get(client, "/", key.text), 200);
}

static void one_segment(void **state)
{
	for (int round = 0; round < 5; round++) {
		char name[32];

		snprintf(name, sizeof(name), "round-%d", round);
		send_thirds(*state, name, REQUESTS);
	}
}

static void many_segments(void **state)
{
	send_thirds(*state, "many", MANY);
}

static void limit_in_the_middle(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(REQUESTS / 2, 1000);
	struct response response;
	struct batch batch = { 0 };
	uint64_t sent_ms;
	char target[64];

	need_window_ms(8000);
	for (int i = 0; i < REQUESTS; i++) {
		snprintf(target, sizeof(target), "/echo/limit/%d", i);
		add_get(&batch, target, key.text);
	}
	sent_ms = now_ms();
	send_batch(client, &batch);
	for (int i = 0; i < REQUESTS / 2; i++)
		expect_echo(client, "limit", i);
	for (int i = REQUESTS / 2; i < REQUESTS; i++) {
		response = expect_answer(client, i);
		expect_refusal(&response, 429, NULL);
		assert_true(limit_answer_is_right(&response, sent_ms, now_ms()));
	}
	expect_counted(application, &key, "/echo/limit/", REQUESTS / 2);
}

/*
 * Answers of no byte, 100 bytes, 20 KiB and 1 MiB, with refusals between; late_ms: unread for so long.
 * Returns false where the application was told EAGAIN amid it.
 */
static bool mixed_sizes(const struct application *application, unsigned int late_ms)
{
	static const struct {
		const char *target;
		size_t length;
	} kinds[] = {
		{ "/none", 0 }, { "/medium", MEDIUM_SIZE }, { "/", 100 }, { "/large", LARGE_SIZE }
	};
	struct client *client = client_open(application->port);
	struct key key = key_limited(10000, 100000);
	size_t eagain = eagain_seen(application);
	struct batch batch = { 0 };
	struct response response;
	unsigned int minute, day;

	for (int i = 0; i < 40; i++)
		add_get(&batch, kinds[i % 4].target, i % 5 == 4 ? unknown_key() : key.text);
	send_batch(client, &batch);
	if (late_ms)
		sleep_until_ms(now_ms() + late_ms);
	for (int i = 0; i < 40; i++) {
		int error = client_read(client, false, &response);

		if (error == -ENODATA && eagain_seen(application) > eagain)
			return false;
		if (error)
			fail_msg("answer %d: %s", i, strerror(-error));
		if (i % 5 == 4) {
			expect_refusal(&response, 401, NULL);
			continue;
		}
		assert_int_equal(response.status, 200);
		/* A send buffer that is nearly full has no room for the headers (README, limits). */
		if (!late_ms)
			expect_admitted(&response, 200);
		assert_int_equal(response.body_length, kinds[i % 4].length);
	}
	key_used(&key, &minute, &day);
	assert_int_equal(day, 32);
	return true;
}

static void sizes(void **state)
{
	unsigned int whole = 0;

	for (int i = 0; i < 3; i++)
		whole += mixed_sizes(*state, 0);
	assert_in_range(whole, 2, 3);
}

static void late_reader(void **state)
{
	assert_true(mixed_sizes(*state, 1500) || mixed_sizes(*state, 1500));
}

/* The body of each request holds another request, of the same length for all. */
static void bodies(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(10000, 100000);
	struct batch batch = { 0 };
	struct response response;
	char hidden[256];

	snprintf(hidden, sizeof(hidden),
		 "GET /hidden HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", key.text);
	for (int i = 0; i < REQUESTS; i++)
		add(&batch,
		    "POST /echo/post/%d HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
		    "Content-Length: %zu\r\n\r\n%s",
		    i, i % 3 == 2 ? unknown_key() : key.text, strlen(hidden), hidden);
	send_batch(client, &batch);
	for (int i = 0; i < REQUESTS; i++) {
		if (i % 3 != 2) {
			expect_echo(client, "post", i);
			continue;
		}
		response = expect_answer(client, i);
		expect_refusal(&response, 401, NULL);
	}
	expect_counted(application, &key, "/echo/post/", REQUESTS - REQUESTS / 3);
	expect_seen(application, "/hidden", 0);
}

/* The refusal waits for the answer that still streams, and the request behind it for both. */
static void good_refused_good(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);
	struct response response;

	for (int i = 0; i < 20; i++) {
		struct client *client = client_open(application->port);
		bool large = i % 2;

		for (int n = 0; n < 3; n++) {
			struct batch batch = { 0 };

			add_get(&batch, n != 1 ? large ? "/large" : "/" : "/refused",
				n == 1 ? unknown_key() : key.text);
			send_batch(client, &batch);
			/* One segment for each, at once or with a moment between. */
			if (i % 4 > 1)
				breathe();
		}
		for (int n = 0; n < 3; n++) {
			response = expect_answer(client, n);
			if (n == 1) {
				expect_refusal(&response, 401, NULL);
				continue;
			}
			expect_admitted(&response, 200);
			assert_int_equal(response.body_length, large ? LARGE_SIZE : 100);
		}
		client_close(client);
	}
	expect_seen(application, "/refused", 0);
}

/* Refused at its end for good: what is behind it is nobody's, what is before it is answered. */
static void bad_in_the_middle(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);
	struct response response;
	char target[64];

	for (int round = 0; round < 10; round++) {
		struct client *client = client_open(application->port);
		struct batch batch = { 0 };

		for (int i = 0; i < 6; i++) {
			snprintf(target, sizeof(target), "/echo/bad/%d", i);
			add_get(&batch, target, key.text);
		}
		add(&batch, "GET /behind HTTP/1.1\nHost: a\r\n\r\n");
		add_get(&batch, "/behind", key.text);
		send_batch(client, &batch);
		for (int i = 0; i < 6; i++)
			expect_echo(client, "bad", i);
		response = expect_answer(client, 6);
		expect_refusal(&response, 400, NULL);
		assert_true(client_sees_end(client, PATIENCE_MS));
		client_close(client);
	}
	expect_counted(application, &key, "/echo/bad/", 60);
	expect_seen(application, "/behind", 0);
}

static const struct promise promises[] = {
	{ "200 requests in one segment, every third refused: 200 answers in order", one_segment,
	  EACH_APPLICATION },
	{ "1,000 requests over 64 KB at once, every third refused: answers in order", many_segments,
	  EACH_APPLICATION },
	{ "a limit that runs out among 200 requests in one segment: 429 from there on",
	  limit_in_the_middle, EACH_APPLICATION },
	{ "answers of 0 bytes to 1 MiB to requests sent at once, and refusals between", sizes,
	  EACH_APPLICATION },
	{ "the same for a client that does not read for a while", late_reader, EACH_APPLICATION },
	{ "bodies that hold requests, sent at once: none is taken for a request", bodies,
	  EACH_APPLICATION },
	{ "good, refused, good: in order, also while the first answer still streams",
	  good_refused_good, EACH_APPLICATION },
	{ "a malformed request among good ones: 400 behind their answers, nothing behind it",
	  bad_in_the_middle, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
