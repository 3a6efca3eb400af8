// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A refused request costs the application nothing: it is not even woken. */
#include <stdlib.h>

#include "harness.h"
#include "http_client.h"

#define REFUSED	    500
#define CONNECTIONS 8
#define OWN_TIMERS  3 /* wake-ups that a server's own housekeeping may cause meanwhile */

static void expect_asleep(const struct application *application, uint64_t before)
{
	uint64_t woken = process_wakeups(application->pid) - before;

	if (woken > OWN_TIMERS)
		fail_msg("%lu wake-ups for %d refused requests", woken, REFUSED);
}

static void refuse_on_open(struct application *application, const char *key, int status)
{
	struct client *open[CONNECTIONS];
	struct key good = key_limited(0, 0);
	struct response response;
	uint64_t before;

	for (int i = 0; i < CONNECTIONS; i++) {
		open[i] = client_open(application->port);
		assert_int_equal(client_get(open[i], "/", good.text), 200);
	}
	before = process_settled_wakeups(application->pid);
	for (int i = 0; i < REFUSED; i++) {
		client_ask(open[i % CONNECTIONS], "POST", "/refused", key, "", &response);
		expect_refusal(&response, status, NULL);
	}
	expect_asleep(application, before);
	for (int i = 0; i < CONNECTIONS; i++)
		assert_int_equal(client_get(open[i], "/", good.text), 200);
	expect_seen(application, "/refused", 0);
}

static void no_key(void **state)
{
	refuse_on_open(*state, NULL, 401);
}

static void bad_key(void **state)
{
	refuse_on_open(*state, unknown_key(), 401);
}

static void used_up(void **state)
{
	struct application *application = *state;
	struct key key = key_limited(1, 1);

	need_window_ms(5000);
	assert_int_equal(client_get(client_open(application->port), "/", key.text), 200);
	refuse_on_open(application, key.text, 429);
}

/* The body of a refused request in a segment of its own. */
static void with_body(void **state)
{
	struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key good = key_limited(0, 0);
	struct response response;
	uint64_t before;

	assert_int_equal(client_get(client, "/", good.text), 200);
	before = process_settled_wakeups(application->pid);
	for (int i = 0; i < REFUSED; i++) {
		client_printf(client, "POST /refused HTTP/1.1\r\nHost: api.test\r\n"
				      "Content-Length: 10\r\n\r\n");
		client_printf(client, "0123456789");
		assert_int_equal(client_read(client, false, &response), 0);
		assert_int_equal(response.status, 401);
	}
	expect_asleep(application, before);
	assert_int_equal(client_get(client, "/", good.text), 200);
}

/* What the threaded server, for which an error of recv() ends a connection, ran into. */
static void no_errors(void **state)
{
	const struct application *application = *state;
	char path[160];

	snprintf(path, sizeof(path), "%s/error.log", application->folder);
	if (count_lines(path, "")) {
		show_file(path);
		fail_msg("%s met errors", application->name);
	}
}

static const struct promise promises[] = {
	{ "no key: refused without waking it", no_key, EACH_APPLICATION },
	{ "a bad key: refused without waking it", bad_key, EACH_APPLICATION },
	{ "a limit used up: refused without waking it", used_up, EACH_APPLICATION },
	{ "a refused body: eaten without waking it", with_body, EACH_APPLICATION },
	{ "it met no errors meanwhile", no_errors, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
