// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The configuration is read again while the daemon runs: all of it is put in force, or nothing. */
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../../user/setting.h"
#include "harness.h"
#include "http_client.h"
#include "traffic.h"

#define RELOADS	   100
#define OTHER_PORT 9100 /* where nobody listens */

/* Sections for all applications' ports but one, 0 for none, behind a text. */
static void configure(const char *text, uint16_t but)
{
	char all[2048];
	size_t length = snprintf(all, sizeof(all), "%s", text);

	for (int i = 0; i < APPLICATIONS; i++)
		if (applications[i].port != but)
			length += snprintf(all + length, sizeof(all) - length, "[port %u]\n",
					   applications[i].port);
	daemon_configure(all);
}

/* The daemon with its ports in the file. */
static void start_configured(void)
{
	daemon_ports_in_file = true;
	configure("", 0);
	daemon_start();
}

/* Reload by the API; it must give this status, and say that. */
static void reload(int status, const char *text)
{
	char body[4096];
	int got = api("POST", "/v1/reload", NULL, body, sizeof(body));

	if (got != status || !strstr(body, text))
		fail_msg("%d %s; expected %d %s", got, body, status, text);
}

/* Reload by signal, and wait until the log has one more line with that text. */
static void reload_by_signal(const char *text)
{
	size_t before = count_lines(stage.daemon_log, text);
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	kill(daemon_pid, SIGHUP);
	while (count_lines(stage.daemon_log, text) == before) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
}

static void send_unjudged(struct client *client, const char *target, const char *key)
{
	client_printf(client,
		      "GET %s HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %s\r\n\r\n",
		      target, key);
}

/* True where not one byte of an answer comes; the connection may end. */
static bool gets_nothing(struct client *client)
{
	struct pollfd readable = { .fd = client->fd, .events = POLLIN };
	char byte;

	return poll(&readable, 1, 400) == 0 || recv(client->fd, &byte, 1, 0) <= 0;
}

static void port_comes_and_goes(void **state)
{
	const struct application *application = *state;
	struct client *before, *gated;
	struct key key;

	daemon_ports_in_file = true;
	configure("", application->port);
	daemon_start();
	key = key_limited(1000, 10000);
	before = client_open(application->port);
	assert_int_equal(client_get(before, "/", NULL), 200);
	configure("", 0);
	reload(200, "is protected");
	gated = client_open(application->port);
	assert_int_equal(client_get(gated, "/", NULL), 401);
	assert_int_equal(client_get(gated, "/", key.text), 200);
	/* What was open before gets nothing through. */
	send_unjudged(before, "/before", key.text);
	assert_true(gets_nothing(before));
	expect_seen(application, "/before", 0);
	client_close(before);
	/* The port goes: those that are open are gated until they end, to the last half head. */
	send_unjudged(gated, "/whole", key.text);
	client_printf(gated, "GET /half HTTP/1.1\r\nHost: a\r\nAuthor");
	configure("", application->port);
	reload(200, "is no longer protected: it is open to all from now on");
	client_printf(gated, "ization: Bearer %s\r\n\r\n", key.text);
	for (int i = 0; i < 2; i++) {
		struct response response;

		assert_int_equal(client_read(gated, false, &response), 0);
		expect_admitted(&response, 200);
	}
	assert_int_equal(client_get(gated, "/", NULL), 401);
	assert_int_equal(client_get(gated, "/", key.text), 200);
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 200);
	/* And comes back. */
	configure("", 0);
	reload(200, "is protected");
	assert_int_equal(client_get(gated, "/", key.text), 200);
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 401);
}

/* A daemon that starts without a port that was protected opens it, and says so. */
static void start_without_a_port(void **state)
{
	const uint16_t port = applications[THREADED].port;
	char text[128];
	size_t before;

	(void)state;
	start_configured();
	assert_int_equal(client_get(client_open(port), "/", NULL), 401);
	daemon_stop();
	configure("", port);
	before = count_lines(stage.daemon_log, "is no longer protected");
	daemon_start();
	assert_int_equal(client_get(client_open(port), "/", NULL), 200);
	snprintf(text, sizeof(text),
		 "Port %u is no longer protected: it is open to all from now on.", port);
	assert_int_equal(count_lines(stage.daemon_log, text), 1);
	assert_int_equal(count_lines(stage.daemon_log, "is no longer protected"), before + 1);
	daemon_stop();
	daemon_start();
	assert_int_equal(count_lines(stage.daemon_log, "is no longer protected"), before + 1);
}

/* With --port a section of another port is not used; the log and each reload's answer say so. */
static void unused_section(void **state)
{
	char text[256];

	(void)state;
	snprintf(text, sizeof(text),
		 "[port %d] in %s is not used: --port on the command line names the ports",
		 OTHER_PORT, stage.configuration);
	configure("", 0);
	daemon_start();
	assert_int_equal(count_lines(stage.daemon_log, "is not used"), 0);
	reload(200, "\"changes\":[]");
	configure("[port 9100]\n", 0);
	reload(200, text);
	assert_int_equal(count_lines(stage.daemon_log, text), 1);
	daemon_stop();
	daemon_start();
	assert_int_equal(count_lines(stage.daemon_log, text), 2);
	reload(200, text);
}

static void settings_of_a_port(void **state)
{
	const uint16_t port = applications[NGINX].port;
	struct client *open, *fresh;
	struct response response;
	char text[128], lines[2048];
	struct key key;

	(void)state;
	start_configured();
	key = key_limited(1000, 10000);
	open = client_open(port);
	assert_int_equal(client_get(open, "/", key.text), 200);
	snprintf(text, sizeof(text), "[port %u]\nidentity = keep\nhead_limit = 1024\n", port);
	configure(text, port);
	reload(200, "head_limit is 1024, and was 16384");
	snprintf(lines, sizeof(lines), "X-Long: %01200d\r\n", 0);
	/* Connections keep the gate they were made with. */
	assert_int_equal(client_ask(open, "GET", "/echo", key.text, lines, &response), 200);
	assert_false(holds(response.body, response.body_length, key.text));
	fresh = client_open(port);
	assert_int_equal(client_ask(fresh, "GET", "/echo", key.text, "", &response), 200);
	assert_true(holds(response.body, response.body_length, key.text));
	assert_int_equal(client_ask(fresh, "GET", "/echo", key.text, lines, &response), 431);
}

static int create_key(const char *account, char text[80])
{
	char body[128], answer[1024];
	json_t *json;
	int status;

	snprintf(body, sizeof(body), "{\"account\":\"%s\",\"label\":\"%d\"}", account, rand());
	status = api("POST", "/v1/keys", body, answer, sizeof(answer));
	json = json_loads(answer, 0, NULL);
	if (status == 201)
		snprintf(text, 80, "%s", json_string_value(json_object_get(json, "key")));
	json_decref(json);
	return status;
}

static void key_word(void **state)
{
	struct client *client;
	char old[80], new[80];

	(void)state;
	start_configured();
	client = client_open(applications[NGINX].port);
	assert_int_equal(create_key("a", old), 201);
	assert_int_equal(client_get(client, "/", old), 200);
	configure("[sluice]\nkey_word = longword\n", 0);
	reload(200, "key_word is longword, and was gx");
	assert_int_equal(create_key("a", new), 201);
	assert_memory_equal(new, "longword_", 9);
	assert_int_equal(client_get(client, "/", new), 200);
	assert_int_equal(client_get(client, "/", old), 401);
	configure("", 0);
	reload(200, "key_word is gx, and was longword");
	assert_int_equal(client_get(client, "/", new), 401);
	assert_int_equal(client_get(client, "/", old), 200);
}

static void keys_per_account(void **state)
{
	char text[80];

	(void)state;
	start_configured();
	configure("[sluice]\nkeys_per_account = 2\n", 0);
	reload(200, "\"keysPerAccount\":2");
	assert_int_equal(create_key("few", text), 201);
	assert_int_equal(create_key("few", text), 201);
	assert_int_equal(create_key("few", text), 409);
	configure("[sluice]\nkeys_per_account = 3\n", 0);
	reload(200, "keys_per_account is 3, and was 2");
	assert_int_equal(create_key("few", text), 201);
}

/* Nothing of what else is in the file is in force. */
static void expect_as_before(const struct key *key)
{
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", NULL), 401);
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", key->text), 200);
	assert_int_equal(status_number("keys.max"), 65536);
}

/* A line for the file that gives a setting another value than any test does. */
static void print_changed(FILE *file, const struct setting *setting)
{
	fprintf(file, "%s = ", setting->name);
	if (setting->kind == SETTING_NUMBER)
		fprintf(file, "%u\n", setting->minimum);
	else if (setting->kind == SETTING_CHOICE)
		fprintf(file, "%s\n", setting->choices[1]);
	else if (setting->kind == SETTING_GROUP)
		fprintf(file, "64499\n");
	else
		fprintf(file, "/elsewhere\n");
}

/* A file with where all is, but with that setting changed, NULL for none, and with that key word. */
static void configure_all(const struct setting *changed, const char *key_word_line, uint16_t but)
{
	const struct {
		const char *name, *value;
	} places[] = { { "state", stage.state },
		       { "socket", stage.socket },
		       { "pin", stage.pins },
		       { "cgroup", stage.cgroup } };
	char text[1024] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	fprintf(file, "[sluice]\n%s", key_word_line);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!changed || strcmp(changed->name, places[i].name))
			fprintf(file, "%s = %s\n", places[i].name, places[i].value);
	if (changed)
		print_changed(file, changed);
	fclose(file);
	configure(text, but);
}

/* Each names the setting and the way; the key word beside it would otherwise be another. */
static void what_cannot_change(void **state)
{
	struct key key;
	char text[128];

	(void)state;
	daemon_ports_in_file = daemon_places_in_file = true;
	configure_all(NULL, "", 0);
	daemon_start();
	key = key_limited(1000, 10000);
	for (size_t i = 0; i < sluice_setting_count; i++) {
		const struct setting *setting = &sluice_settings[i];

		if (!setting->fixed)
			continue;
		configure_all(setting, "key_word = other\n", applications[NGINX].port);
		snprintf(text, sizeof(text), "%s cannot change from '", setting->name);
		reload(409, text);
		reload(409, "sluiced --remove --pin");
		expect_as_before(&key);
		reload_by_signal(text);
		expect_as_before(&key);
	}
	/* Where it is set back, the rest is put in force. */
	configure_all(NULL, "key_word = other\n", 0);
	reload(200, "key_word is other");
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", key.text), 401);
}

static void what_is_wrong(void **state)
{
	static const char *const rows[][2] = {
		{ "[sluice]\nkey_word = other\nnonsense = 1\n", "sluice.conf:3: " },
		{ "[sluice]\nkey_word = other\nkeys_per_account = 0\n", "keys_per_account" },
		{ "[sluice]\nkey_word = other\n[port 70000]\n", "1 to 65535" },
		{ "[sluice]\nkey_word = other\n[port 9100]\nhead_limit = 5\n", "1024 to 16384" },
	};
	struct key key;

	(void)state;
	start_configured();
	key = key_limited(1000, 10000);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		configure(rows[i][0], applications[NGINX].port);
		reload(400, rows[i][1]);
		reload(400, "Nothing was changed.");
		expect_as_before(&key);
		reload_by_signal("Nothing was changed.");
		expect_as_before(&key);
	}
	daemon_configure("");
	reload(400, "There is no port to protect");
	expect_as_before(&key);
}

/* A port that another daemon has is refused with all the rest. */
static void claimed_port(void **state)
{
	struct stage first = stage;
	char text[128];
	struct key key;
	pid_t second;

	(void)state;
	start_configured();
	key = key_limited(1000, 10000);
	snprintf(stage.state, sizeof(stage.state), "%s/second", stage.folder);
	snprintf(stage.pins, sizeof(stage.pins), "%s/bpf/second", stage.folder);
	snprintf(stage.socket, sizeof(stage.socket), "%s/second.sock", stage.folder);
	snprintf(stage.configuration, sizeof(stage.configuration), "%s/second.conf", stage.folder);
	snprintf(text, sizeof(text), "[port %d]\n", OTHER_PORT);
	daemon_configure(text);
	second = process_start(stage.daemon_log, daemon_command(0));
	for (uint64_t end_ms = monotonic_ms() + PATIENCE_MS; access(stage.socket, F_OK);) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
	snprintf(stage.configuration, sizeof(stage.configuration), "%s", first.configuration);
	snprintf(stage.socket, sizeof(stage.socket), "%s", first.socket);
	snprintf(text, sizeof(text), "[sluice]\nkey_word = other\n[port %d]\n", OTHER_PORT);
	configure(text, applications[NGINX].port);
	reload(409, "already protected by another sluiced");
	expect_as_before(&key);
	assert_int_equal(process_stop(second, SIGTERM), 0);
	assert_int_equal(daemon_remove(), 0);
	stage = first;
	reload(200, "port 9100 is protected");
}

/* Ports come and go, and settings change, by both ways; each request is answered, and counted once. */
static void under_load(void **state)
{
	const struct application *application = *state;
	struct traffic traffic = { .application = application };
	struct hammer strangers;
	char text[256];

	start_configured();
	traffic_start(&traffic);
	strangers_start(&strangers, application);
	for (int i = 1; i <= RELOADS; i++) {
		snprintf(text, sizeof(text),
			 "[sluice]\nkeys_per_account = %d\n[port %u]\nhead_limit = %d\n"
			 "identity = %s\n[port %d]\n",
			 1 + i, application->port, 2048 + i, i % 2 ? "keep" : "swap",
			 OTHER_PORT + i % 3);
		configure(text, application->port);
		if (i % 2)
			reload(200, "\"changes\":[\"");
		else
			reload_by_signal("Reload: keys_per_account is");
		/* One that is opened amid this is gated, too. */
		assert_int_equal(client_get(client_open(application->port), "/never", NULL), 401);
		close_all_clients();
	}
	strangers_stop(&strangers, application);
	traffic_stop(&traffic);
}

static const struct promise promises[] = {
	{ "a port comes and goes; open connections are never judged by nobody", port_comes_and_goes,
	  EACH_APPLICATION },
	{ "a start without a port that was protected opens it, and says so", start_without_a_port,
	  ONCE },
	{ "a section that --port leaves unused is named, at the start and at each reload",
	  unused_section, ONCE },
	{ "a port's settings hold for new connections, and open ones keep theirs",
	  settings_of_a_port, ONCE },
	{ "another key_word is in force at once, and set back, too", key_word, ONCE },
	{ "another keys_per_account is in force at once", keys_per_account, ONCE },
	{ "a setting that cannot change is named, and nothing is changed", what_cannot_change,
	  ONCE },
	{ "a file that is wrong is refused with the place, and nothing is changed", what_is_wrong,
	  ONCE },
	{ "a port of another daemon is refused, and nothing is changed", claimed_port, ONCE },
	{ "100 reloads under load: nothing is lost, refused wrongly or uncounted", under_load,
	  EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
