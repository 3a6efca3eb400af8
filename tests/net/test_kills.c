// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The daemon may die at any moment: SIGKILL, again and again, under load, amid changes of keys and in the
 * slow path. TESTS_FULL=1: 500 times.
 */
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "harness.h"
#include "http_client.h"

#define RELAY	     "sluiced-relay"
#define KEYS_MAX     64
#define KILLS	     12
#define KILLS_FULL   500
#define PER_MINUTE   100
#define EDITED	     200
#define ALIVE_MAX_MS 120
#define RELAY_EVERY  5 /* times, the relay dies, too */

/* What was asked of a key last. */
enum change { CREATE, EDIT, REVOKE };

struct changed_key {
	char id[32];
	char text[80];
	enum change change;
	bool told; /* that it is done */
	unsigned int used;
};

/* Somebody who changes keys until the daemon is gone. */
struct changer {
	pthread_t thread;
	char account[32];
	struct changed_key keys[KEYS_MAX];
	size_t count;
	int refused; /* the status of a change that was not made; 0: all were */
};

static void put_member(const char *text, const char *name, char *to, size_t size)
{
	json_t *json = json_loads(text, 0, NULL);
	const char *value = json_string_value(json_object_get(json, name));

	snprintf(to, size, "%s", value ? value : "");
	json_decref(json);
}

/* Ask for a change. Returns whether it was told to be done. */
static bool make_change(struct changer *changer, struct changed_key *key, enum change change)
{
	static const struct {
		const char *method;
		int done;
	} calls[] = { { "POST", 201 }, { "PATCH", 200 }, { "DELETE", 200 } };
	char target[64] = "/v1/keys", body[160] = "", text[1024];
	int status;

	if (change == CREATE)
		snprintf(body, sizeof(body),
			 "{\"account\":\"%s\",\"label\":\"%zu\",\"perMinute\":%d,\"perDay\":1000}",
			 changer->account, changer->count, PER_MINUTE);
	else
		snprintf(target, sizeof(target), "/v1/keys/%s", key->id);
	if (change == EDIT)
		snprintf(body, sizeof(body), "{\"perMinute\":%d}", EDITED);
	key->change = change;
	key->told = false;
	status = api_try(calls[change].method, target, *body ? body : NULL, text, sizeof(text));
	if (status < 0)
		return false;
	if (status != calls[change].done) {
		changer->refused = status;
		return false;
	}
	key->told = true;
	if (change == CREATE) {
		put_member(text, "id", key->id, sizeof(key->id));
		put_member(text, "key", key->text, sizeof(key->text));
	}
	return true;
}

/* Create keys; edit every second, and revoke every third of them. */
static void *change_on(void *argument)
{
	struct changer *changer = argument;

	while (changer->count < KEYS_MAX) {
		size_t n = changer->count++;
		struct changed_key *key = &changer->keys[n];

		if (!make_change(changer, key, CREATE) ||
		    (n % 2 && !make_change(changer, key, EDIT)) ||
		    (n % 3 == 0 && !make_change(changer, key, REVOKE)))
			break;
	}
	return NULL;
}

/* What a request with the key is answered, and how many its limit lets through in a minute. */
static int try_key(struct changed_key *key, int64_t *ret_per_minute)
{
	struct response response;
	struct client client;
	int status;

	assert_int_equal(client_connect(&client, applications[NGINX].port), 0);
	status = client_ask(&client, "GET", "/tried", key->text, "", &response);
	key->used += status == 200;
	*ret_per_minute = header_number(&response, "X-RateLimit-Remaining") + key->used;
	client_close(&client);
	return status;
}

/* The kernel does what was told, or what was asked, and nothing between. */
static void expect_whole(struct changed_key *key)
{
	int64_t per_minute;
	int status = try_key(key, &per_minute);
	bool revoked = key->change == REVOKE;

	if (status == 401 && revoked)
		return;
	if (status != 200 || (revoked && key->told))
		fail_msg("%s: change %d, told %d: %d", key->id, key->change, key->told, status);
	if (key->change == EDIT && key->told)
		assert_int_equal(per_minute, EDITED);
	if (key->change == CREATE)
		assert_int_equal(per_minute, PER_MINUTE);
	assert_true(per_minute == PER_MINUTE || per_minute == EDITED);
}

static void expect_all_whole(struct changer *changer)
{
	for (size_t n = 0; n < changer->count; n++)
		if (changer->keys[n].text[0])
			expect_whole(&changer->keys[n]);
}

/* The store holds what was told, and at most the one key whose creation nobody was told of. */
static void expect_stored(const struct changer *changer)
{
	static char text[KEYS_MAX * 1024];
	size_t known = 0, active = 0, stored = 0, active_stored = 0, index;
	char target[64];
	json_t *json, *record;

	for (size_t n = 0; n < changer->count; n++) {
		const struct changed_key *key = &changer->keys[n];

		known += key->id[0] != '\0';
		active += key->id[0] && !(key->change == REVOKE && key->told);
	}
	snprintf(target, sizeof(target), "/v1/keys?account=%s", changer->account);
	assert_int_equal(api("GET", target, NULL, text, sizeof(text)), 200);
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	json_array_foreach(json_is_array(json) ? json : json_object_get(json, "keys"), index,
			   record)
	{
		stored++;
		active_stored +=
			!strcmp(json_string_value(json_object_get(record, "status")), "active");
	}
	json_decref(json);
	assert_in_range(stored, known, known + 1);
	assert_in_range(active_stored, active ? active - 1 : 0, active + 1);
}

static void sleep_at_random(unsigned int max_ms)
{
	unsigned int us = random() % (max_ms * 1000);

	nanosleep(&(struct timespec){ .tv_nsec = us * 1000l }, NULL);
}

/*
 * The daemon lives for a moment, and dies amid the changes of keys. Its relay, which has the heads that are
 * split, mostly lives on. Returns whether it does.
 */
static bool live_and_die(struct changer *changer, int round)
{
	bool with_relay = round % RELAY_EVERY == RELAY_EVERY - 1;

	*changer = (struct changer){ 0 };
	snprintf(changer->account, sizeof(changer->account), "round-%d", round);
	daemon_start();
	assert_int_equal(pthread_create(&changer->thread, NULL, change_on, changer), 0);
	sleep_at_random(ALIVE_MAX_MS);
	if (with_relay)
		kill(process_find(RELAY), SIGKILL);
	daemon_kill();
	pthread_join(changer->thread, NULL);
	return !with_relay;
}

static void killed_again_and_again(void **state)
{
	static struct changer changer;
	int kills = full_run() ? KILLS_FULL : KILLS, relays = kills / RELAY_EVERY;
	struct key keys[] = { key_limited(10000, 100000), key_limited(10000, 100000),
			      key_limited(100, 100000) };
	const char *texts[] = { keys[0].text, keys[1].text, keys[2].text, unknown_key() };
	struct hammer hammer = { .port = applications[NGINX].port,
				 .target = "/killed",
				 .keys = texts,
				 .key_count = ARRAY_SIZE(texts),
				 .processes = 2,
				 .connections = 4,
				 .pause_us = 2000,
				 .split = true,
				 .reconnect = true };
	uint32_t slots[ARRAY_SIZE(keys)];
	uint64_t counted = 0, refused = 0, changes = 0, seen;
	struct tally *tally;

	(void)state;
	usage_open();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		slots[i] = usage_slot(&keys[i]);
	daemon_configure("[sluice]\nkeys_per_account = 1000\n");
	daemon_kill();
	hammer_start(&hammer);
	tally = hammer.tally;
	for (int round = 0; round < kills; round++) {
		need_window_ms(10000); /* for the uses of a key that are added up */
		/*
		 * In force without the daemon, and stored when it is back. Without a relay some wait
		 * for that.
		 */
		if (live_and_die(&changer, round))
			expect_all_whole(&changer);
		assert_int_equal(changer.refused, 0);
		changes += changer.count;
		daemon_start();
		expect_stored(&changer);
		expect_all_whole(&changer);
		daemon_kill();
	}
	hammer_stop(&hammer);
	daemon_start();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		counted += usage_admitted(slots[i]);
		refused += usage_refused(slots[i]);
	}
	usage_close();
	seen = wait_seen(&applications[NGINX], "/killed", counted);
	printf("# figure: %d kills amid %ju keys made, edited and revoked: %ju requests sent, %ju "
	       "admitted, "
	       "%ju limited, %ju without a valid key, %ju lost with their connections; %ju "
	       "counted, %ju executed\n",
	       2 * kills, changes, tally->sent, tally->admitted, tally->limited,
	       tally->unauthorized, tally->closed, counted, seen);
	assert_string_equal(tally->first_wrong, "");
	assert_int_equal(tally->wrong, 0);
	/* Only what a relay had when it was killed is lost; it was not judged, or its answer was not read. */
	assert_in_range(tally->closed, 0, (uint64_t)relays * hammer.processes * hammer.connections);
	assert_in_range(counted, tally->admitted, tally->admitted + tally->closed);
	assert_in_range(refused, tally->limited, tally->limited + tally->closed);
	/* Nothing is executed uncounted, or counted and not executed but what judged_and_lost() shows. */
	assert_in_range(seen, counted - relays, counted);
}

/* Let the relay go on from one system call to the next until the key has been used, and stop it there. */
static void stop_when_counted(pid_t relay, uint32_t slot)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (!usage_admitted(slot)) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, relay, NULL, NULL), 0);
		while (!waitpid(relay, NULL, __WALL | WNOHANG)) {
			assert_true(monotonic_ms() < end_ms);
			breathe();
		}
	}
}

/*
 * The relay dies between the two calls by which it has a request judged, and passes it on: the one moment
 * at which a request is counted and not executed. No other is lost for it.
 */
static void judged_and_lost(void **state)
{
	const struct application *application = &applications[NGINX];
	struct key key = key_limited(100, 1000);
	struct response response;
	struct client *client;
	uint32_t slot;
	pid_t relay;

	(void)state;
	usage_open();
	slot = usage_slot(&key);
	relay = process_find(RELAY);
	client = client_open(application->port);
	client_printf(client, "GET /judged HTTP/1.1\r\nHost: h\r\n");
	assert_true(client_sees_silence(client, 100));
	assert_int_equal(ptrace(PTRACE_SEIZE, relay, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, relay, NULL, NULL), 0);
	assert_int_equal(waitpid(relay, NULL, __WALL), relay);
	client_printf(client, "Authorization: Bearer %s\r\n\r\n", key.text);
	stop_when_counted(relay, slot);
	assert_int_equal(kill(relay, SIGKILL), 0);
	assert_int_equal(waitpid(relay, NULL, __WALL), relay);
	/* By the relay that the daemon starts. */
	assert_true(client_sees_end(client, PATIENCE_MS));
	assert_int_equal(usage_admitted(slot), 1);
	expect_seen(application, "/judged", 0);
	client_close(client);

	client = client_open(application->port);
	assert_int_equal(client_ask(client, "GET", "/judged", key.text, "", &response), 200);
	client_close(client);
	assert_int_equal(usage_admitted(slot), 2);
	expect_seen(application, "/judged", 1);
	usage_close();
}

static const struct promise promises[] = {
	{ "killed amid changes of keys and half heads, under load: nothing is lost or doubled but "
	  "by a relay's death",
	  killed_again_and_again, ONCE },
	{ "a relay killed just when it had a request judged loses that one, and its connection",
	  judged_and_lost, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
