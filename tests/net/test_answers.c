// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a client is answered: by the application through the gate, and by the gate itself. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http_client.h"
#include "harness.h"

#define MINUTE_MS 60000ull
#define DAY_MS	  (24 * 60 * MINUTE_MS)

static const char no_error[] = "Bearer realm=\"api\"";
static const char with_error[] = "Bearer realm=\"api\", error=\"invalid_token\"";

static void valid_key(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(10, 100);
	struct response response;
	uint64_t before, after;
	int64_t reset;

	need_window_ms(2000);
	before = now_ms();
	client_ask(client, "GET", "/", key.text, "", &response);
	after = now_ms();
	expect_admitted(&response, 200);
	assert_int_equal(response.body_length, 100);
	assert_int_equal(header_number(&response, "X-RateLimit-Remaining"), 9);
	reset = header_number(&response, "X-RateLimit-Reset");
	assert_true(reset == (int64_t)(before / MINUTE_MS + 1) * (int64_t)MINUTE_MS ||
		    reset == (int64_t)(after / MINUTE_MS + 1) * (int64_t)MINUTE_MS);
}

/* Where both limits have equally much left, the one that resets later binds. */
static void binding_window(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(10, 10);
	struct response response;

	need_window_ms(2000);
	client_ask(client, "GET", "/", key.text, "", &response);
	expect_admitted(&response, 200);
	assert_int_equal(header_number(&response, "X-RateLimit-Remaining"), 9);
	assert_int_equal(header_number(&response, "X-RateLimit-Reset"),
			 (now_ms() / DAY_MS + 1) * DAY_MS);
}

static void large_answer(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(100, 1000);
	struct response response;

	for (int i = 0; i < 20; i++) {
		client_ask(client, "GET", "/large", key.text, "", &response);
		expect_admitted(&response, 200);
		assert_int_equal(response.body_length, 1024 * 1024);
		for (size_t at = 0; at < response.body_length; at++)
			if (response.body[at])
				fail_msg("byte %zu of the body was changed", at);
	}
}

static void no_key(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	char value[HEADER_SIZE];
	struct response response;

	client_ask(client, "GET", "/no-key", NULL, "", &response);
	expect_refusal(&response, 401, NULL);
	assert_string_equal(header_value(&response, "WWW-Authenticate", value), no_error);
	expect_seen(application, "/no-key", 0);
}

static void expect_bad_key(struct client *client, const char *text)
{
	char value[HEADER_SIZE];
	struct response response;

	if (client_ask(client, "GET", "/bad-key", text, "", &response) != 401)
		fail_msg("%d for the key '%s'", response.status, text);
	expect_refusal(&response, 401, NULL);
	assert_string_equal(header_value(&response, "WWW-Authenticate", value), with_error);
}

static void bad_key(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(0, 0);
	char text[sizeof(key.text) + 8];

	expect_bad_key(client, unknown_key());
	expect_bad_key(client, "gx_");
	expect_bad_key(client, "x");
	/* Every character of a good key changed in turn. */
	for (size_t i = 0; i < strlen(key.text); i++) {
		strcpy(text, key.text);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		expect_bad_key(client, text);
	}
	snprintf(text, sizeof(text), "%s0", key.text);
	expect_bad_key(client, text);
	snprintf(text, sizeof(text), "%.*s", (int)strlen(key.text) - 1, key.text);
	expect_bad_key(client, text);
	key_revoke(&key);
	expect_bad_key(client, key.text);
	expect_seen(application, "/bad-key", 0);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void trace_ids(void **state)
{
	enum { COUNT = 500 };
	static char ids[COUNT][HEADER_SIZE];
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct response response;

	for (int i = 0; i < COUNT; i++) {
		client_ask(client, "GET", "/", i % 2 ? unknown_key() : NULL, "", &response);
		expect_refusal(&response, 401, ids[i]);
	}
	qsort(ids, COUNT, sizeof(ids[0]), compare_text);
	for (int i = 1; i < COUNT; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
}

static void used_up(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(2, 100);
	struct response response;
	uint64_t sent;

	need_window_ms(2000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(client_get(client, "/", key.text), 200);
	for (int i = 0; i < 10; i++) {
		sent = now_ms();
		client_ask(client, "GET", "/used-up", key.text, "", &response);
		expect_refusal(&response, 429, NULL);
		assert_true(limit_answer_is_right(&response, sent, now_ms()));
	}
	expect_seen(application, "/used-up", 0);
}

/* What refused requests cost: nothing of either limit. */
static void refused_count_not(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(2, 100);
	unsigned int minute, day;

	need_window_ms(2000);
	for (int i = 0; i < 5; i++)
		client_get(client, "/", key.text);
	key_used(&key, &minute, &day);
	assert_int_equal(minute, 2);
	assert_int_equal(day, 2);
}

static void head_method(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(1, 100);
	struct response response;

	need_window_ms(2000);
	assert_int_equal(client_ask(client, "HEAD", "/", NULL, "", &response), 401);
	assert_int_equal(client_ask(client, "HEAD", "/", key.text, "", &response), 200);
	expect_admitted(&response, 200);
	assert_int_equal(client_ask(client, "HEAD", "/", key.text, "", &response), 429);
	assert_true(header_number(&response, "Content-Length") > 0);
	/* A stray body would stand before this answer. */
	assert_int_equal(client_get(client, "/", key.text), 429);
	assert_true(client_sees_silence(client, 50));
}

/*
 * A second segment would wait for an acknowledgement, which a client may hold back for 40 ms. The kernel takes
 * pages for the answers, and begins them anew where nobody holds what is in them: so some do.
 */
static void one_segment(void **state)
{
	enum { HOLDERS = 50, ANSWERS = 20 };
	const struct application *application = *state;
	struct client client, holders[HOLDERS];
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	assert_int_equal(client_connect(&client, application->port), 0);
	for (int i = 0; i < HOLDERS; i++) {
		struct pollfd held = { .events = POLLIN };

		assert_int_equal(client_connect(&holders[i], application->port), 0);
		assert_int_equal(client_send(&holders[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27),
				 0);
		held.fd = holders[i].fd;
		assert_int_equal(poll(&held, 1, PATIENCE_MS), 1);
		for (int n = 0; n < ANSWERS; n++)
			assert_int_equal(client_get(&client, "/", "gx_nobody"), 401);
	}
	assert_int_equal(getsockopt(client.fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	assert_int_equal(info.tcpi_data_segs_in, HOLDERS * ANSWERS);
	for (int i = 0; i < HOLDERS; i++)
		client_close(&holders[i]);
	client_close(&client);
}

static const struct promise promises[] = {
	{ "a valid key gets the answer, with each header once", valid_key, EACH_APPLICATION },
	{ "where both limits have as much left, the later reset binds", binding_window,
	  EACH_APPLICATION },
	{ "a large answer comes whole and unchanged", large_answer, EACH_APPLICATION },
	{ "no key: 401, WWW-Authenticate without error", no_key, EACH_APPLICATION },
	{ "a bad key: 401, WWW-Authenticate with error", bad_key, EACH_APPLICATION },
	{ "every refusal has a trace id of its own", trace_ids, EACH_APPLICATION },
	{ "a limit used up: 429 with Retry-After, Remaining and Reset", used_up, EACH_APPLICATION },
	{ "a refused request counts against neither limit", refused_count_not, EACH_APPLICATION },
	{ "the answer to HEAD has no body", head_method, EACH_APPLICATION },
	{ "a refusal is one segment", one_segment, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
