// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The gate stands without its daemon: killed, stopped, restarted, and after a reboot. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../../bpf/abi.h"
#include "harness.h"
#include "http_client.h"

#define MANY_KEYS	10000
#define RESTART_BOUND	1000 /* milliseconds, with MANY_KEYS */
#define RELAY		"sluiced-relay"
#define KEYS_AN_ACCOUNT 10

/* Wait until the hammer was answered so many times more. */
static void more_answers(const struct hammer *hammer, uint64_t count)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	uint64_t goal = hammer->tally->sent + count;

	while (hammer->tally->sent < goal && monotonic_ms() < end_ms)
		breathe();
	assert_true(hammer->tally->sent >= goal);
}

static void expect_all_right(const struct hammer *hammer)
{
	assert_string_equal(hammer->tally->first_wrong, "");
	assert_int_equal(hammer->tally->wrong, 0);
	assert_int_equal(hammer->tally->closed, 0);
}

/* A small limit, a large one and a key that was never issued, on every third connection each. */
static void killed_under_load(void **state)
{
	const struct application *application = *state;
	struct key small = key_limited(300, 1000), large = key_limited(10000, 100000);
	const char *texts[] = { small.text, large.text, unknown_key() };
	struct hammer hammer = { .port = application->port,
				 .target = "/killed",
				 .keys = texts,
				 .key_count = ARRAY_SIZE(texts),
				 .processes = 2,
				 .connections = 9,
				 .pause_us = 1000 };
	unsigned int small_minute, large_minute, day;

	need_window_ms(20000);
	hammer_start(&hammer);
	more_answers(&hammer, 2000);
	daemon_kill();
	more_answers(&hammer, 4000);
	daemon_start();
	more_answers(&hammer, 2000);
	daemon_kill();
	daemon_start();
	more_answers(&hammer, 1000);
	hammer_stop(&hammer);
	expect_all_right(&hammer);
	assert_true(hammer.tally->unauthorized > 1000);
	key_used(&small, &small_minute, &day);
	assert_int_equal(small_minute, 300);
	key_used(&large, &large_minute, &day);
	assert_int_equal(hammer.tally->admitted, small_minute + large_minute);
	expect_seen(application, "/killed", hammer.tally->admitted);
}

static void expect_remaining(struct client *client, const struct key *key, int remaining)
{
	struct response response;

	client_ask(client, "GET", "/", key->text, "", &response);
	expect_admitted(&response, 200);
	assert_int_equal(header_number(&response, "X-RateLimit-Remaining"), remaining);
}

/* Request by request over one connection, the daemon ending both ways. */
static void counts_go_on(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(12, 1000);
	int remaining = 12;

	need_window_ms(20000);
	for (int round = 0; round < 3; round++) {
		expect_remaining(client, &key, --remaining);
		if (round % 2)
			daemon_stop();
		else
			daemon_kill();
		expect_remaining(client, &key, --remaining);
		assert_int_equal(client_get(client, "/", NULL), 401);
		assert_int_equal(client_get(client_open(application->port), "/", NULL), 401);
		expect_remaining(client_open(application->port), &key, --remaining);
		daemon_start();
		expect_remaining(client, &key, --remaining);
	}
	assert_int_equal(client_get(client, "/", key.text), 429);
}

/* A key of before is edited and revoked by the daemon of after. */
static void keys_go_on(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	struct key key = key_limited(0, 0);

	(void)state;
	assert_int_equal(client_get(client, "/", key.text), 200);
	daemon_kill();
	daemon_start();
	assert_int_equal(client_get(client, "/", key.text), 200);
	key_revoke(&key);
	assert_int_equal(client_get(client, "/", key.text), 401);
	daemon_kill();
	assert_int_equal(client_get(client, "/", key.text), 401);
	daemon_start();
	assert_int_equal(client_get(client, "/", key.text), 401);
}

/*
 * The relay spares applications a wake-up. Without it they are woken for nothing, which one that
 * blocks in recv() may take for the end of the connection; nothing gets by.
 */
static void relay_killed(void **state)
{
	const struct application *application = *state;
	bool blocks = application == &applications[THREADED] ||
		      application == &applications[THREADED_POLL];
	struct key key = key_limited(1000, 10000);
	pid_t relay = process_find(RELAY);

	assert_true(relay > 0);
	kill(relay, SIGKILL);
	for (int i = 0; i < 100; i++) {
		struct client *client = client_open(application->port);
		int status;

		assert_int_equal(client_get(client, "/", key.text), 200);
		status = client_get(client, "/unseen", i % 2 ? NULL : unknown_key());
		if (status != 401 && !(blocks && status < 0))
			fail_msg("%d without a key", status);
		if (!blocks)
			assert_int_equal(client_get(client, "/", key.text), 200);
		client_close(client);
	}
	expect_seen(application, "/unseen", 0);
	daemon_kill();
	daemon_start();
	assert_true(process_find(RELAY) > 0);
}

static const char *const half_heads[] = { "GET /half HTTP/1.1\r\nHost: a\r\nAuthor",
					  "ization: Bearer %s\r\n\r\n" };

static void send_half(struct client *client, int half, const struct key *key)
{
	client_printf(client, half_heads[half], key->text);
}

/* The slow path is the relay's, and so goes on without the daemon. */
static void halves_without_daemon(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(1000, 10000);
	struct response response;

	daemon_kill();
	for (int i = 0; i < 50; i++) {
		send_half(client, 0, &key);
		breathe();
		send_half(client, 1, &key);
		assert_int_equal(client_read(client, false, &response), 0);
		expect_admitted(&response, 200);
	}
	daemon_start();
}

/*
 * What a relay had when it was killed is gone, and its connection ends, unjudged. What comes while
 * there is none waits for the next, but for an application that blocks in recv(), as above.
 */
static void relay_killed_with_halves(void **state)
{
	const struct application *application = *state;
	struct client *lost = client_open(application->port);
	struct client *waits = client_open(application->port);
	struct client *stays = client_open(application->port);
	struct key key = key_limited(1000, 10000);
	bool blocks = application == &applications[THREADED];
	struct response response;
	unsigned int minute, day;
	pid_t relay;

	assert_int_equal(client_get(lost, "/", key.text), 200);
	assert_int_equal(client_get(waits, "/", key.text), 200);
	assert_int_equal(client_get(stays, "/", key.text), 200);
	send_half(lost, 0, &key);
	breathe();
	relay = process_find(RELAY);
	assert_true(relay > 0);
	daemon_kill();
	kill(relay, SIGKILL);
	breathe();
	send_half(waits, 0, &key);
	breathe();
	send_half(waits, 1, &key);
	assert_true(blocks || client_sees_silence(waits, 200));
	assert_int_equal(client_get(stays, "/", key.text), 200);
	daemon_start();
	assert_true(client_sees_end(lost, PATIENCE_MS));
	if (!blocks) {
		assert_int_equal(client_read(waits, false, &response), 0);
		expect_admitted(&response, 200);
	}
	assert_int_equal(client_get(stays, "/", key.text), 200);
	key_used(&key, &minute, &day);
	assert_in_range(day, blocks ? 5 : 6, 6);
}

/* As a relay leaves it that was killed awake, and amid an answer or bytes. */
static void leave_amid(void)
{
	struct injecting *injecting;
	char path[320];
	int fd;

	snprintf(path, sizeof(path), "%s/injecting", stage.pins);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	injecting = mmap(NULL, sizeof(*injecting), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_true(injecting != MAP_FAILED);
	injecting->awake = 1;
	injecting->reply_to = 1;
	injecting->bytes = (struct injection){ .cookie = 1, .kind = INJECT_BYTES };
	munmap(injecting, sizeof(*injecting));
}

/* Answers that a relay owes when it is killed are sent by the next, once, and the connections go on. */
static void relay_killed_owing(void **state)
{
	enum { CLIENTS = 8 };
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);
	pid_t relay = process_find(RELAY);
	struct client *clients[CLIENTS];
	struct response response;

	assert_true(relay > 0);
	/* The application waits for each, so that it must not be woken. */
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = client_open(application->port);
		assert_int_equal(client_get(clients[i], "/", key.text), 200);
	}
	breathe();
	assert_int_equal(kill(relay, SIGSTOP), 0);
	for (int i = 0; i < CLIENTS; i++)
		client_printf(clients[i], "GET /unseen HTTP/1.1\r\nHost: a\r\n\r\n");
	breathe();
	for (int i = 0; i < CLIENTS; i++)
		assert_true(client_sees_silence(clients[i], 20));
	leave_amid();
	assert_int_equal(kill(relay, SIGKILL), 0);
	daemon_kill();
	daemon_start();
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(client_read(clients[i], false, &response), 0);
		assert_int_equal(response.status, 401);
		assert_int_equal(client_get(clients[i], "/unseen", unknown_key()), 401);
		assert_int_equal(client_get(clients[i], "/", key.text), 200);
	}
	expect_seen(application, "/unseen", 0);
}

/* The next relay, once the daemon has started it. */
static pid_t await_relay(pid_t former)
{
	pid_t relay = former;

	for (int i = 0; i < 1000 && (relay <= 0 || relay == former); i++) {
		breathe();
		relay = process_find(RELAY);
	}
	assert_true(relay > 0 && relay != former);
	return relay;
}

/*
 * Killed amid them, in any of many moments: those that end a connection come, too, though an application
 * may be told to close it by then.
 */
static void relay_killed_amid(void **state)
{
	enum { CLIENTS = 240, LAST = 40, ROUNDS = 4, STEP_US = 400 };
	struct client *clients[CLIENTS];
	struct response response;
	pid_t relay = process_find(RELAY);

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			clients[i] = client_open(applications[NGINX].port);
			assert_int_equal(client_get(clients[i], "/unseen", unknown_key()), 401);
		}
		assert_int_equal(kill(relay, SIGSTOP), 0);
		for (int i = 0; i < CLIENTS; i++)
			client_printf(clients[i], "GET /unseen HTTP/1.1\r\nHost: a\r\n%s\r\n",
				      i < LAST ? "Connection: close\r\n" : "");
		breathe();
		assert_int_equal(kill(relay, SIGCONT), 0);
		usleep(500 + round * STEP_US);
		assert_int_equal(kill(relay, SIGKILL), 0);
		for (int i = 0; i < CLIENTS; i++) {
			assert_int_equal(client_read(clients[i], false, &response), 0);
			assert_int_equal(response.status, 401);
		}
		close_all_clients();
		relay = await_relay(relay);
	}
	expect_seen(&applications[NGINX], "/unseen", 0);
}

/* What a relay was to end when it was killed is ended by the next. */
static void relay_killed_before_ends(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct response response;

	client_printf(client, "GET /no-version\r\n\x01");
	assert_int_equal(client_read(client, false, &response), 0);
	assert_int_equal(kill(await_relay(0), SIGKILL), 0);
	assert_true(client_sees_end(client, PATIENCE_MS));
}

/* No pins are left after a reboot, as after --remove; the count is of the store, saved each second. */
static void reboot(void **state)
{
	struct key key = key_limited(100, 50);
	unsigned int minute, day;

	(void)state;
	need_window_ms(20000);
	for (int i = 0; i < 20; i++)
		expect_remaining(client_open(applications[NGINX].port), &key, 49 - i);
	sleep_until_ms(now_ms() + 1500);
	daemon_kill();
	close_all_clients();
	assert_int_equal(daemon_remove(), 0);
	daemon_start();
	key_used(&key, &minute, &day);
	assert_int_equal(day, 20);
	expect_remaining(client_open(applications[NGINX].port), &key, 29);
	daemon_stop();
	assert_int_equal(daemon_remove(), 0);
	daemon_start();
	key_used(&key, &minute, &day);
	assert_int_equal(day, 21);
}

/* Create so many keys; the first and the last are returned. */
static void create_many(struct key *ret_first, struct key *ret_last)
{
	char account[32];

	for (int i = 0; i < MANY_KEYS; i++) {
		snprintf(account, sizeof(account), "many-%d", i / KEYS_AN_ACCOUNT);
		*ret_last = key_create(&(struct key_options){
			.account = account, .per_minute = 10000, .per_day = 100000 });
		if (!i)
			*ret_first = *ret_last;
	}
}

static void use_daemon(bool release)
{
	daemon_stop();
	daemon_release = release;
	daemon_start();
}

/* Restart it, killed or told to stop, while both hammers are at it. */
static void time_restarts(void)
{
	for (int i = 0; i < 4; i++) {
		uint64_t took_ms;

		if (i % 2)
			daemon_stop();
		else
			daemon_kill();
		took_ms = daemon_start();
		printf("# restart with %d keys, %s build: %lu ms\n", MANY_KEYS,
		       daemon_release ? "release" : "sanitized", took_ms);
		/* An emulated processor takes its time to verify the programs. */
		assert_true(emulated() || took_ms < RESTART_BOUND);
	}
}

static void many_keys(void **state)
{
	char path[320];
	struct key ends[2];
	const char *good[] = { ends[0].text, ends[1].text };
	const char *bad[] = { unknown_key() };
	struct hammer admitted = { .port = applications[NGINX].port,
				   .target = "/good",
				   .keys = good,
				   .key_count = 2,
				   .processes = 1,
				   .connections = 2,
				   .pause_us = 2000 };
	struct hammer refused = { .port = applications[NGINX].port,
				  .target = "/bad",
				  .keys = bad,
				  .key_count = 1,
				  .processes = 1,
				  .connections = 2,
				  .pause_us = 200 };

	(void)state;
	snprintf(path, sizeof(path), "%s/build/sluiced", stage.root);
	use_daemon(!access(path, X_OK));
	create_many(&ends[0], &ends[1]);
	hammer_start(&admitted);
	hammer_start(&refused);
	time_restarts();
	hammer_stop(&admitted);
	hammer_stop(&refused);
	use_daemon(false);
	expect_all_right(&admitted);
	expect_all_right(&refused);
	assert_int_equal(admitted.tally->unauthorized, 0);
	assert_int_equal(refused.tally->admitted, 0);
	assert_true(refused.tally->unauthorized > 1000);
	expect_seen(&applications[NGINX], "/bad", 0);
}

static const struct promise promises[] = {
	{ "killed and restarted under load: nothing fails, nothing gets by", killed_under_load,
	  EACH_APPLICATION },
	{ "counts go on over every way to end and restart it", counts_go_on, EACH_APPLICATION },
	{ "keys are edited and revoked by the next daemon", keys_go_on, ONCE },
	{ "nothing gets by without the relay, and the next daemon starts one", relay_killed,
	  EACH_APPLICATION },
	{ "heads in two halves are judged without the daemon", halves_without_daemon,
	  EACH_APPLICATION },
	{ "the relay is killed: what it had ends unjudged, what comes meanwhile waits",
	  relay_killed_with_halves, EACH_APPLICATION },
	{ "the relay is killed: answers that it owed are sent by the next", relay_killed_owing,
	  EACH_APPLICATION },
	{ "the relay is killed amid answers: each comes", relay_killed_amid, ONCE },
	{ "the relay is killed: connections that it was to end are ended by the next",
	  relay_killed_before_ends, EACH_APPLICATION },
	{ "a day's count survives a reboot", reboot, ONCE },
	{ "restarts in under a second with 10,000 keys and never opens", many_keys, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
