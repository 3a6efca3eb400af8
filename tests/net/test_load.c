// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Much of everything: connections that come and go, connections that stay, keys, and requests with one key.
 * Counts are exact, and nothing is left behind. TESTS_FULL=1: a million connections, 20,000 that stay.
 *
 * The daemon and the relay are the release builds here, for the figures.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cost.h"
#include "harness.h"
#include "http_client.h"

#define PROCESSES 4

static void show_growth(const char *what, const struct cost *before, const struct cost *after)
{
	printf("# figure: %s: daemon and relay %+lld KiB, %+lld files; kernel %+lld KiB\n", what,
	       (long long)(after->rss_kib - before->rss_kib),
	       (long long)(after->files - before->files),
	       (long long)(after->slab_kib - before->slab_kib));
}

/* --- connections that come and go ---------------------------------------------------------------- */

/* One short life of a connection; how it goes and ends depends on its number. */
static void short_life(const struct application *application, const char *key, int number)
{
	static const char half[] = "GET / HTTP/1.1\r\nHost: ap";
	struct client client;
	struct response response;

	assert_int_equal(client_connect(&client, application->port), 0);
	switch (number % 8) {
	case 0: /* no byte at all */
		break;
	case 1:
		client_ask(&client, "GET", "/", key, "Connection: close\r\n", &response);
		break;
	case 2:
		client_ask(&client, "GET", "/", NULL, "Connection: close\r\n", &response);
		break;
	case 3:
		client_get(&client, "/", NULL);
		break;
	case 4: /* RST in the middle of a head */
		client_send(&client, half, sizeof(half) - 1);
		client_abort(&client);
		return;
	case 5: /* RST before the answer is read */
		client_printf(&client,
			      "GET /large HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
			      key);
		client_abort(&client);
		return;
	case 6: /* FIN right behind a request to be refused */
		client_printf(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		break;
	case 7: /* end in the middle of a body */
		client_printf(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nxx");
		break;
	}
	client_close(&client);
}

/* Run so many lives in each of some processes at once. */
static void live(int lives, const char *key)
{
	pid_t pids[PROCESSES];
	int status;

	for (int process = 0; process < PROCESSES; process++) {
		pids[process] = fork();
		assert_true(pids[process] >= 0);
		if (pids[process])
			continue;
		for (int i = 0; i < lives; i++) {
			struct application *application = &applications[i / 8 % APPLICATIONS];

			short_life(application->missing ? &applications[NGINX] : application, key,
				   i);
		}
		_exit(EXIT_SUCCESS);
	}
	for (int process = 0; process < PROCESSES; process++) {
		assert_int_equal(waitpid(pids[process], &status, 0), pids[process]);
		assert_int_equal(status, 0);
	}
}

static void churn(void **state)
{
	enum { GROWTH_MAX_KIB = 2048 };
	int lives = (full_run() ? 1000000 : 16000) / PROCESSES;
	/* The relay keeps those that end for a while, and has the memory for the most at once from then on. */
	int first = full_run() ? 100000 : 2000;
	struct cost before, after;
	uint64_t end_ms;
	struct key key;

	(void)state;
	daemon_start();
	key = key_limited(10000, 100000);
	live(first / PROCESSES, key.text);
	expect_no_connections();
	before = cost_of_gate();
	live(lives, key.text);
	expect_no_connections();
	end_ms = monotonic_ms() + PATIENCE_MS;
	after = cost_of_gate();
	show_growth("after all these connections", &before, &after);
	assert_true(status_number("counts.connectionsOpened") >= first + lives * PROCESSES);
	assert_int_equal(status_number("counts.connectionsOpened"),
			 status_number("counts.connectionsClosed"));
	assert_in_range(after.rss_kib, 0, before.rss_kib + GROWTH_MAX_KIB);
	/* The connection by which the status was asked for may be open yet. */
	while (after.files > before.files) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
		after = cost_of_gate();
	}
}

/* --- connections that stay ------------------------------------------------------------------------ */

/* Somebody with many connections, in a process of his own: one may have only so many descriptors. */
struct crowd {
	pid_t pid;
	int in, out; /* descriptors: it is told to go on, and tells where it is */
};

/* Open the connections and ask once on each; then once more on some. Returns the process' status. */
static int be_crowd(size_t count, const char *key, int in, int out)
{
	struct client *clients = calloc(count, sizeof(*clients));
	uint32_t admitted = 0;
	char byte;

	for (size_t i = 0; i < count; i++) {
		int status, wanted = i % 4 ? 200 : 401;

		if (client_connect(&clients[i], applications[NGINX].port))
			return 2;
		status = client_get(&clients[i], "/open", i % 4 ? key : unknown_key());
		admitted += status == 200;
		if (status != wanted)
			return 3;
	}
	if (write(out, &admitted, sizeof(admitted)) != sizeof(admitted) || read(in, &byte, 1) != 1)
		return 4;
	for (size_t i = 0; i < count; i += 50)
		if (client_get(&clients[i], "/", unknown_key()) != 401)
			return 5;
	return 0;
}

static struct crowd crowd_start(size_t count, const char *key)
{
	struct crowd crowd;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	crowd.pid = fork();
	assert_true(crowd.pid >= 0);
	if (!crowd.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(be_crowd(count, key, in[0], out[1]));
	}
	close(in[0]);
	close(out[1]);
	crowd.in = in[1];
	crowd.out = out[0];
	return crowd;
}

/* Wait until it has asked once on each connection. Returns how many were admitted. */
static uint32_t crowd_asked(const struct crowd *crowd)
{
	uint32_t admitted;

	if (read(crowd->out, &admitted, sizeof(admitted)) != sizeof(admitted))
		fail_msg("connections could not be opened, or were not answered");
	return admitted;
}

static void crowd_end(const struct crowd *crowd)
{
	int status;

	assert_int_equal(write(crowd->in, "x", 1), 1);
	assert_int_equal(waitpid(crowd->pid, &status, 0), crowd->pid);
	assert_int_equal(status, 0);
	close(crowd->in);
	close(crowd->out);
}

static void many_open(void **state)
{
	size_t count = full_run() ? 20000 : 2000, admitted = 0;
	struct crowd crowds[PROCESSES];
	struct cost before, after;

	(void)state;
	daemon_start();
	before = cost_of_gate();
	for (int i = 0; i < PROCESSES; i++)
		crowds[i] = crowd_start(count / PROCESSES, key_limited(10000, 100000).text);
	for (int i = 0; i < PROCESSES; i++)
		admitted += crowd_asked(&crowds[i]);
	assert_int_equal(status_number("connections.open"), count);
	after = cost_of_gate();
	show_growth("connections that stay", &before, &after);
	for (int i = 0; i < PROCESSES; i++)
		crowd_end(&crowds[i]);
	expect_no_connections();
	expect_seen(&applications[NGINX], "/open", admitted);
}

/* --- keys --------------------------------------------------------------------------------------------- */

static void all_with_one_key(void **state)
{
	enum { LIMIT = 10000 };
	struct key key;
	const char *texts[1];
	struct hammer hammer = { .port = applications[NGINX].port,
				 .target = "/hot",
				 .keys = texts,
				 .key_count = 1,
				 .processes = PROCESSES,
				 .connections = 16 };
	uint64_t end_ms;
	uint32_t slot;

	(void)state;
	daemon_start();
	usage_open();
	key = key_limited(LIMIT, 100000);
	slot = usage_slot(&key);
	texts[0] = key.text;
	need_window_ms(25000);
	end_ms = now_ms() + 20000;
	hammer_start(&hammer);
	while (now_ms() < end_ms && usage_refused(slot) < LIMIT / 10)
		breathe();
	hammer_stop(&hammer);
	assert_string_equal(hammer.tally->first_wrong, "");
	assert_int_equal(hammer.tally->closed, 0);
	assert_true(hammer.tally->limited > 0);
	assert_int_equal(hammer.tally->admitted, LIMIT);
	assert_int_equal(usage_admitted(slot), LIMIT);
	assert_int_equal(usage_refused(slot), hammer.tally->limited);
	expect_seen(&applications[NGINX], "/hot", LIMIT);
	usage_close();
}

/* Fill the table of keys; then use each, in disorder, as often as it may be and once more. */
static void all_keys(void **state)
{
	enum { LIMIT = 3, STRIDE = 7919 /* a prime */ };
	static const char one_more[] = "{\"account\":\"one-more\",\"label\":\"x\"}";
	size_t room = full_run() ? 65536 : 2000, count, refused = 0;
	char configuration[96], text[1024];
	struct cost before, after;
	struct client *client;
	struct key *keys;

	(void)state;
	snprintf(configuration, sizeof(configuration), "[sluice]\nmax_keys = %zu\n", room);
	daemon_configure(configuration);
	daemon_start();
	count = room - status_number("keys.active");
	keys = calloc(count, sizeof(*keys));
	assert_non_null(keys);
	before = cost_of_gate();
	for (size_t i = 0; i < count; i++)
		keys[i] =
			key_create(&(struct key_options){ .per_minute = LIMIT, .per_day = LIMIT });
	after = cost_of_gate();
	show_growth("keys made", &before, &after);
	assert_int_equal(api("POST", "/v1/keys", one_more, text, sizeof(text)), 503);
	assert_true(holds(text, strlen(text), "max_keys"));
	client = client_open(applications[NGINX].port);
	for (int round = 0; round < LIMIT + 1; round++)
		for (size_t i = 0; i < count; i++) {
			int status = client_get(client, "/each", keys[i * STRIDE % count].text);

			assert_int_equal(status, round < LIMIT ? 200 : 429);
			refused += status == 429;
		}
	assert_int_equal(refused, count);
	expect_seen(&applications[NGINX], "/each", count * LIMIT);
	free(keys);
}

static const struct promise promises[] = {
	{ "connections that come and go leave nothing behind", churn, ONCE },
	{ "connections that stay, and requests on all of them", many_open, ONCE },
	{ "64 connections on all processors with one key: exactly its limit", all_with_one_key,
	  ONCE },
	{ "the table of keys full: each has exactly its limit, one more is refused, and told why",
	  all_keys, ONCE },
};

int main(void)
{
	daemon_release = true;
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
