/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line against the daemon itself. */
#include <jansson.h>
#include <string.h>

#include "net/harness.h"
#include "net/http_client.h"
#include "run_cli.h"

#define RUN(...) run_cli(stage.socket, (const char *const[]){ __VA_ARGS__, NULL }, TO_PIPES)

/* Run, and check the exit status and what is in stdout and stderr; see expect_text(). */
#define EXPECT(status, out, err, ...) expect(RUN(__VA_ARGS__), status, out, err)

static void expect(struct outcome outcome, int status, const char *out, const char *err)
{
	expect_text("stderr", outcome.err, err);
	expect_text("stdout", outcome.out, out);
	assert_int_equal(outcome.status, status);
	outcome_free(&outcome);
}

/* A key of an account of its own. id and text are what the tool prints. */
struct made {
	char account[40];
	char id[32];
	char text[80];
};

static void make(struct made *ret_made)
{
	static int accounts;
	struct outcome outcome;
	json_t *record;

	snprintf(ret_made->account, sizeof(ret_made->account), "cli-%d", accounts++);
	outcome = RUN("key", "create", "--account", ret_made->account, "--label", "first",
		      "--per-day", "5000", "--json");
	expect_text("stderr", outcome.err, "");
	assert_int_equal(outcome.status, 0);
	record = json_loads(outcome.out, 0, NULL);
	assert_non_null(record);
	snprintf(ret_made->id, sizeof(ret_made->id), "%s",
		 json_string_value(json_object_get(record, "id")));
	snprintf(ret_made->text, sizeof(ret_made->text), "%s",
		 json_string_value(json_object_get(record, "key")));
	json_decref(record);
	outcome_free(&outcome);
}

static int ask(const char *key)
{
	struct client *client = client_open(applications[THREADED].port);

	return client_get(client, "/", key);
}

/* What the tool prints on stdout is a key that the gate admits. */
static void created_key_is_admitted(void **state)
{
	struct outcome outcome = RUN("key", "create", "--account", "piped", "--label", "l");

	(void)state;
	assert_int_equal(outcome.status, 0);
	assert_int_equal(strlen(outcome.out), 53);
	outcome.out[strcspn(outcome.out, "\n")] = '\0';
	assert_int_equal(ask(outcome.out), 200);
	outcome_free(&outcome);
}

static void shown_once(void **state)
{
	const char *const verbs[] = { "show", "revoke" };
	struct outcome outcome;
	struct made made;

	(void)state;
	make(&made);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		outcome = RUN("key", verbs[i], made.id, "--json");
		assert_int_equal(outcome.status, 0);
		assert_null(strstr(outcome.out, made.text));
		outcome_free(&outcome);
	}
	outcome = RUN("key", "ls", "--json");
	assert_null(strstr(outcome.out, made.text));
	outcome_free(&outcome);
}

static void usage_is_live(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	need_window_ms(5000);
	assert_int_equal(ask(made.text), 200);
	EXPECT(0, "This minute  1 / 60\n", "", "key", "show", made.id);
	assert_int_equal(ask(made.text), 200);
	EXPECT(0, "2 / 5,000", "", "key", "ls", "--account", made.account);
	EXPECT(0, "\"usedMinute\": 2", "", "key", "ls", "--account", made.account, "--json");
}

static void edit_is_in_force(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	need_window_ms(5000);
	assert_int_equal(ask(made.text), 200);
	EXPECT(0, "1 / 2\n", "Changed", "key", "edit", made.id, "--per-minute", "2", "--label",
	       "a b");
	assert_int_equal(ask(made.text), 200);
	assert_int_equal(ask(made.text), 429);
	EXPECT(0, "a b", "", "key", "ls", "--account", made.account);
}

static void revoke_is_in_force(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	assert_int_equal(ask(made.text), 200);
	EXPECT(0, "revoked", "Revoked key_", "key", "revoke", made.id);
	assert_int_equal(ask(made.text), 401);
	EXPECT(0, "\"status\": \"revoked\"", "", "key", "show", made.id, "--json");
}

static void accounts_are_apart(void **state)
{
	struct outcome outcome;
	struct made mine, other;

	(void)state;
	make(&mine);
	make(&other);
	outcome = RUN("key", "ls", "--account", mine.account);
	expect_text("stdout", outcome.out, mine.id);
	assert_null(strstr(outcome.out, other.id));
	outcome_free(&outcome);
}

static void expiry(void **state)
{
	(void)state;
	EXPECT(0, "\"expiresAt\": \"2199-01-31T00:00:00.000Z\"", "", "key", "create", "--account",
	       "dated", "--label", "date", "--expires", "2199-01-31", "--json");
	EXPECT(0, "gx_", "expires: 2", "key", "create", "--account", "dated", "--label", "span",
	       "--expires", "90d");
}

/* Each is refused by the daemon, not by the tool: exit status 1, and its reason. */
static void refusals(void **state)
{
	struct made made;

	(void)state;
	make(&made);
	EXPECT(1, "", "sluice: ", "key", "create", "--account", made.account, "--label", "first");
	EXPECT(1, "\"CONFLICT\"", "", "key", "create", "--account", made.account, "--label",
	       "first", "--json");
	EXPECT(1, "\"INVALID_ARGUMENT\"", "", "key", "create", "--account", "a b", "--label", "l",
	       "--json");
	EXPECT(1, "\"INVALID_ARGUMENT\"", "", "key", "create", "--account", "a", "--label",
	       "tab\there", "--json");
	EXPECT(1, "\"NOT_FOUND\"", "", "key", "show", "key_aaaaaaaaaaaa", "--json");
	EXPECT(1, "\"NOT_FOUND\"", "", "key", "revoke", "../status", "--json");
	EXPECT(1, "", "sluice: ", "key", "edit", "key_aaaaaaaaaaaa", "--label", "x");
}

static void eleventh_key(void **state)
{
	char label[16];

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(label, sizeof(label), "%d", i);
		EXPECT(0, "gx_", NULL, "key", "create", "--account", "full", "--label", label);
	}
	EXPECT(1, "\"LIMIT_REACHED\"", "", "key", "create", "--account", "full", "--label", "one",
	       "--json");
}

static void status_says(void **state)
{
	char ports[16];

	(void)state;
	snprintf(ports, sizeof(ports), "%u (heads", applications[THREADED].port);
	EXPECT(0, "enforcing\n", "", "status");
	EXPECT(0, ports, "", "status");
	EXPECT(0, "\"enforcing\": true", "", "--json");
}

/* The port that the tests ask at is left out of the configuration, and put back into it. */
static void gates_come_and_go(void **state)
{
	char with[128], without[64], port[8], protected_now[64];

	(void)state;
	snprintf(port, sizeof(port), "%u", applications[THREADED].port);
	snprintf(without, sizeof(without), "[port %u]\n", applications[NGINX].port);
	snprintf(with, sizeof(with), "%s[port %s]\n", without, port);
	snprintf(protected_now, sizeof(protected_now), "port %s is protected\n", port);
	daemon_stop();
	daemon_ports_in_file = true;
	daemon_configure(with);
	daemon_start();
	EXPECT(0, port, "", "gate", "ls");
	EXPECT(1, "", "still in the configuration", "gate", "rm", port);
	daemon_configure(without);
	EXPECT(0, "", "is out of the gate", "gate", "rm", port, "--drain", "5");
	assert_int_equal(ask(NULL), 200);
	EXPECT(1, "", "is not protected", "gate", "rm", port);
	daemon_configure(with);
	EXPECT(0, protected_now, "", "reload");
	assert_int_equal(ask(NULL), 401);
	EXPECT(0, "Nothing is different.\n", "", "reload");
	daemon_configure("[sluice]\nmax_keys = 7\n[port 80]\n");
	EXPECT(1, "", "max_keys cannot change", "reload");
	daemon_configure("[sluice]\nmax_kees = 7\n");
	EXPECT(1, "\"INVALID_ARGUMENT\"", "", "reload", "--json");
	daemon_stop();
}

static void stopped_daemon(void **state)
{
	(void)state;
	daemon_stop();
	EXPECT(3, "", "not reachable at", "status");
	EXPECT(3, "\"UNAVAILABLE\"", "", "status", "--json");
}

static const struct promise promises[] = {
	{ "what key create prints is a key that is admitted", created_key_is_admitted, ONCE },
	{ "a key's text is never printed again", shown_once, ONCE },
	{ "show and ls print live usage", usage_is_live, ONCE },
	{ "an edit is in force when the tool returns, and keeps what is used", edit_is_in_force,
	  ONCE },
	{ "a revocation is in force when the tool returns", revoke_is_in_force, ONCE },
	{ "ls --account lists that account's keys alone", accounts_are_apart, ONCE },
	{ "dates and spans become instants", expiry, ONCE },
	{ "what the daemon refuses exits 1 with its reason", refusals, ONCE },
	{ "an account's eleventh key is refused", eleventh_key, ONCE },
	{ "status says what is protected", status_says, ONCE },
	{ "ports leave by gate rm and come by reload", gates_come_and_go, ONCE },
	{ "a daemon that is stopped exits 3", stopped_daemon, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
