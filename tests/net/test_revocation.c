// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A revoked key is refused from the moment the call that revoked it has returned, and an expired
 * one from its millisecond on.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "http_client.h"

#define ROUNDS	    10000
#define LOAD_ROUNDS 200

static void open_connection(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct client *another = client_open(application->port);
	struct key key = key_limited(0, 0), other = key_limited(0, 0);

	assert_int_equal(client_get(client, "/", other.text), 200);
	for (int times = 0; times < 3; times++)
		assert_int_equal(client_get(client, "/", key.text), 200);
	assert_int_equal(client_get(another, "/", other.text), 200);
	key_revoke(&key);
	assert_int_equal(client_get(client, "/revoked", key.text), 401);
	assert_int_equal(client_get(client, "/", other.text), 200);
	assert_int_equal(client_get(another, "/", other.text), 200);
	assert_int_equal(client_get(another, "/revoked", key.text), 401);
	expect_seen(application, "/revoked", 0);
}

/* What a connection remembers of its last key is not taken for another's, nor for what it was. */
static void keys_by_turns(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key one = key_limited(12, 0), two = key_limited(12, 0);
	char unknown[sizeof(one.text)];

	need_window_ms(10000);
	memcpy(unknown, one.text, sizeof(unknown));
	unknown[10] ^= 1;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(client_get(client, "/", one.text), 200);
		assert_int_equal(client_get(client, "/", one.text), 200);
		assert_int_equal(client_get(client, "/", one.text), 200);
		assert_int_equal(client_get(client, "/unknown", unknown), 401);
		assert_int_equal(client_get(client, "/", two.text), 200);
		assert_int_equal(client_get(client, "/", two.text), 200);
		assert_int_equal(client_get(client, "/unknown", NULL), 401);
		assert_int_equal(client_get(client, "/", two.text), 200);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(client_get(client, "/", one.text), 200);
		assert_int_equal(client_get(client, "/", two.text), 200);
	}
	assert_int_equal(client_get(client, "/unknown", one.text), 429);
	assert_int_equal(client_get(client, "/unknown", two.text), 429);
	expect_seen(application, "/unknown", 0);
}

/* Each round on the same connection: used, revoked, refused. */
static void revoke_then_request(void **state)
{
	const struct application *application = &applications[NGINX];
	struct client *client = client_open(application->port);
	unsigned int admitted = 0, unused = 0;

	(void)state;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct key key = key_limited(0, 0);

		/* Often enough to be remembered. */
		for (int times = 0; times < 3; times++)
			unused += client_get(client, "/", key.text) != 200;
		key_revoke(&key);
		admitted += client_get(client, "/after", key.text) != 401;
	}
	printf("# %d rounds, %u admitted after revocation\n", ROUNDS, admitted);
	assert_int_equal(unused, 0);
	assert_int_equal(admitted, 0);
	expect_seen(application, "/after", 0);
}

/* A connection that asks without pause, and when it sent what was admitted last. */
struct asker {
	struct client *client;
	const char *key;
	uint64_t last_admitted_us; /* CLOCK_MONOTONIC, just before the request was sent */
	uint64_t admitted;
	int status; /* of the last answer */
};

static void *ask_until_refused(void *argument)
{
	struct asker *asker = argument;

	do {
		uint64_t sent_us = monotonic_us();

		asker->status = client_get(asker->client, "/", asker->key);
		if (asker->status == 200) {
			asker->last_admitted_us = sent_us;
			__atomic_fetch_add(&asker->admitted, 1, __ATOMIC_SEQ_CST);
		}
	} while (asker->status == 200);
	return NULL;
}

/* Revoked while four connections ask with it: nothing sent after the call returned is admitted. */
static void revoked_under_load(void **state)
{
	enum { ASKERS = 4 };
	struct asker askers[ASKERS];
	pthread_t threads[ASKERS];

	(void)state;
	for (unsigned int round = 0; round < LOAD_ROUNDS; round++) {
		struct key key = key_limited(10000, 100000);
		uint64_t revoked_us;

		need_window_ms(3000);
		for (int i = 0; i < ASKERS; i++) {
			askers[i] = (struct asker){ .client = client_open(applications[NGINX].port),
						    .key = key.text };
			pthread_create(&threads[i], NULL, ask_until_refused, &askers[i]);
		}
		while (__atomic_load_n(&askers[round % ASKERS].admitted, __ATOMIC_SEQ_CST) < 20)
			;
		key_revoke(&key);
		revoked_us = monotonic_us();
		for (int i = 0; i < ASKERS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < ASKERS; i++) {
			assert_int_equal(askers[i].status, 401);
			assert_true(askers[i].last_admitted_us < revoked_us);
		}
		close_all_clients();
	}
}

/*
 * Ask until the instant has passed by ms: what was sent at or behind it is refused, what was
 * answered before it is admitted.
 */
static void expect_expiry_at(struct client *client, const char *key, uint64_t instant_ms)
{
	sleep_until_ms(instant_ms - 50);
	assert_int_equal(client_get(client, "/", key), 200);
	while (now_ms() < instant_ms + 50) {
		uint64_t sent_ms = now_ms();
		int status = client_get(client, "/", key);

		if (now_ms() < instant_ms)
			assert_int_equal(status, 200);
		else if (sent_ms >= instant_ms)
			assert_int_equal(status, 401);
	}
	assert_int_equal(client_get(client, "/", key), 401);
}

static void expires_without_daemon(void **state)
{
	enum { KEYS = 5 };
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	uint64_t first_ms;
	struct key keys[KEYS];
	struct key other = key_limited(0, 0);

	need_window_ms(6000);
	first_ms = now_ms() + 1500;
	for (int i = 0; i < KEYS; i++)
		keys[i] = key_create(&(struct key_options){
			.per_minute = 10000, .per_day = 100000, .expires_ms = first_ms + i * 137 });
	assert_true(now_ms() < first_ms - 100);
	kill(daemon_pid, SIGSTOP);
	for (int i = 0; i < KEYS; i++)
		expect_expiry_at(client, keys[i].text, first_ms + i * 137);
	assert_int_equal(client_get(client, "/", other.text), 200);
	kill(daemon_pid, SIGCONT);
}

/* The daemon's sweep marks it, and it stays refused. */
static void swept(void **state)
{
	struct key key = key_create(&(struct key_options){ .expires_ms = now_ms() + 300 });
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	char target[64], text[2048];

	(void)state;
	snprintf(target, sizeof(target), "/v1/keys/%s", key.id);
	do {
		breathe();
		assert_int_equal(api("GET", target, NULL, text, sizeof(text)), 200);
	} while (!holds(text, strlen(text), "\"expired\"") && monotonic_ms() < end_ms);
	assert_true(holds(text, strlen(text), "\"expired\""));
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", key.text), 401);
}

static const struct promise promises[] = {
	{ "revoked on an open connection: 401 next, another key stays 200", open_connection,
	  EACH_APPLICATION },
	{ "keys by turns on one connection: each is judged, and counted for itself", keys_by_turns,
	  EACH_APPLICATION },
	{ "revoke, then request: none is admitted, round after round", revoke_then_request, ONCE },
	{ "revoked under load: nothing sent afterwards is admitted", revoked_under_load, ONCE },
	{ "a key expires at its millisecond while the daemon is stopped", expires_without_daemon,
	  EACH_APPLICATION },
	{ "an expired key is marked by the sweep", swept, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
