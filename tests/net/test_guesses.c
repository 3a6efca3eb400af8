// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who guesses keys costs the application and the daemon nothing, and is known by address. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"

#define GUESSES		 100000
#define GUESSES_EMULATED 10000 /* on an emulated processor */
#define STATUS_MAX	 65536
#define OWN_TIMERS	 3 /* wake-ups that housekeeping may cause, of the daemon each second */

/* How often a source guesses, and how the status names it. */
struct guesser {
	const char *address; /* the client's */
	const char *source;
	unsigned int count;
};

static struct client *connect_from(const char *address, uint16_t port)
{
	struct sockaddr_in6 own6 = { .sin6_family = AF_INET6 }, to6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in own = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	bool ip6 = strchr(address, ':');
	struct client *client =
		client_adopt(socket(ip6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int error;

	to.sin_port = to6.sin6_port = htons(port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to6.sin6_addr = in6addr_loopback;
	inet_pton(AF_INET, address, &own.sin_addr);
	inet_pton(AF_INET6, address, &own6.sin6_addr);
	error = ip6 ? bind(client->fd, (struct sockaddr *)&own6, sizeof(own6))
		    : bind(client->fd, (struct sockaddr *)&own, sizeof(own));
	if (!error)
		error = ip6 ? connect(client->fd, (struct sockaddr *)&to6, sizeof(to6))
			    : connect(client->fd, (struct sockaddr *)&to, sizeof(to));
	if (error)
		fail_msg("connecting from %s: %s", address, strerror(errno));
	return client;
}

static json_t *read_status(void)
{
	static char text[STATUS_MAX];
	json_t *status;

	assert_int_equal(api("GET", "/v1/status", NULL, text, sizeof(text)), 200);
	status = json_loads(text, 0, NULL);
	assert_non_null(status);
	return status;
}

/* What the status tells of a source; NULL: nothing. */
static const json_t *find_source(const json_t *status, const char *source)
{
	const json_t *top = json_object_get(json_object_get(status, "guesses"), "top"), *guess;
	size_t i;

	json_array_foreach(top, i,
			   guess) if (!strcmp(json_string_value(json_object_get(guess, "source")),
					      source)) return guess;
	return NULL;
}

static uint64_t guesses_of(const char *source)
{
	json_t *status = read_status();
	const json_t *guess = find_source(status, source);
	uint64_t count = guess ? json_integer_value(json_object_get(guess, "count")) : 0;

	json_decref(status);
	return count;
}

static void expect_recent(const char *source)
{
	json_t *status = read_status();
	const char *last =
		json_string_value(json_object_get(find_source(status, source), "lastAt"));
	uint64_t last_ms;

	assert_int_equal(rfc3339_parse(last, &last_ms), 0);
	assert_in_range(last_ms, now_ms() - 60000, now_ms());
	json_decref(status);
}

/* Everything that a key can be when it is none; the last was valid once. */
static void by_address(void **state)
{
	static const struct guesser guessers[] = {
		{ "127.0.0.2", "127.0.0.2", 7 },
		{ "127.0.0.3", "127.0.0.3", 40 },
		{ "127.0.0.4", "127.0.0.4", 1 },
		{ "::1", "::/64", 12 },
	};
	struct application *application = &applications[THREADED_POLL];
	struct key revoked = key_limited(0, 0), good = key_limited(1000, 1000);
	const char *const keys[] = { "gx_short", unknown_key(), revoked.text };
	int64_t all = status_number("counts.refusedInvalidKey");
	unsigned int total = 0;

	(void)state;
	key_revoke(&revoked);
	for (size_t i = 0; i < ARRAY_SIZE(guessers); i++) {
		struct client *client = connect_from(guessers[i].address, application->port);

		for (unsigned int n = 0; n < guessers[i].count; n++, total++) {
			assert_int_equal(client_get(client, "/", keys[n % ARRAY_SIZE(keys)]), 401);
			/* Neither of these is a guess. */
			assert_int_equal(client_get(client, "/", NULL), 401);
			assert_int_equal(client_get(client, "/", good.text), 200);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(guessers); i++) {
		assert_int_equal(guesses_of(guessers[i].source), guessers[i].count);
		expect_recent(guessers[i].source);
	}
	assert_int_equal(status_number("counts.refusedInvalidKey") - all, total);
}

/* On the slow path as on the fast one, at a listener of IPv4 and IPv6. */
static void in_pieces(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer gx_n";
	struct response response;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct client *client = connect_from("127.0.0.9", applications[THREADED].port);

		client_printf(client, "%s", head);
		breathe();
		client_printf(client, "o\r\n\r\n");
		assert_int_equal(client_read(client, false, &response), 0);
		expect_refusal(&response, 401, NULL);
	}
	assert_int_equal(guesses_of("127.0.0.9"), 5);
}

/* Clock ticks of processor time that a process has used, with those of its children that it waited for. */
static unsigned long ticks(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64], *text, *at;
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	text = read_file(path, &length);
	at = strrchr(text, ')');
	assert_non_null(at);
	assert_int_equal(sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
				&system),
			 2);
	free(text);
	return user + system;
}

/* What processes have used. */
struct cost {
	unsigned long application, daemon, relay; /* ticks */
	uint64_t application_woken, daemon_woken; /* times */
	uint64_t at_ms;
};

static struct cost read_cost(const struct application *application)
{
	return (struct cost){
		.application = ticks(application->pid),
		.daemon = ticks(daemon_pid),
		.relay = ticks(process_find("sluiced-relay")),
		.application_woken = process_wakeups(application->pid),
		.daemon_woken = process_own_wakeups(daemon_pid),
		.at_ms = monotonic_ms(),
	};
}

/* The relay, which has the application sleep on, is the only one with work to do. */
static void costs_nothing(void **state)
{
	struct application *application = &applications[THREADED];
	struct client *client = connect_from("127.0.0.5", application->port);
	const int count = emulated() ? GUESSES_EMULATED : GUESSES;
	const char *key = unknown_key();
	struct cost before, after;
	unsigned long seconds;
	int64_t woken;

	(void)state;
	assert_int_equal(client_get(client, "/", NULL), 401);
	process_settled_wakeups(application->pid);
	before = read_cost(application);
	for (int i = 0; i < count; i++)
		if (client_get(client, "/guess", key) != 401)
			fail_msg("guess %d was not refused", i);
	after = read_cost(application);
	/* A thread of an earlier connection may end meanwhile, and is not counted any more. */
	woken = after.application_woken - before.application_woken;
	seconds = (after.at_ms - before.at_ms) / 1000 + 1;
	printf("# figure: %d guesses in %lu s: application %lu ticks, woken %ld times; daemon %lu "
	       "ticks, woken %lu times; relay %lu ticks of %ld a second\n",
	       count, seconds, after.application - before.application, (long)woken,
	       after.daemon - before.daemon,
	       (unsigned long)(after.daemon_woken - before.daemon_woken),
	       after.relay - before.relay, sysconf(_SC_CLK_TCK));
	assert_true(after.application - before.application <= 1);
	assert_true(woken <= OWN_TIMERS);
	/* It looks after things once a second. */
	assert_true(after.daemon_woken - before.daemon_woken <= OWN_TIMERS * seconds);
	assert_true(after.daemon - before.daemon <= seconds);
	assert_int_equal(guesses_of("127.0.0.5"), count);
}

static const struct promise promises[] = {
	{ "guesses are counted by address, exactly", by_address, ONCE },
	{ "guesses in pieces are counted, too", in_pieces, ONCE },
	{ "100,000 guesses cost application and daemon nothing", costs_nothing, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
