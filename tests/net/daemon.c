// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The daemon on the test's stage, and its control API. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../user/keys.h"
#include "http_client.h"

#define ARGUMENTS_MAX 80

pid_t daemon_pid;
bool daemon_release;
bool daemon_ports_in_file, daemon_places_in_file;
char *const *daemon_wrapper;
uint16_t daemon_more_ports[MORE_PORTS + 1];

/* The program and its configuration; returns how many arguments that makes, as the next do. */
static size_t put_program(char **arguments, char program[320])
{
	size_t n = 0;

	snprintf(program, 320, "%s/build/%ssluiced", stage.root, daemon_release ? "" : "test/");
	arguments[n++] = program;
	arguments[n++] = "--config";
	arguments[n++] = stage.configuration;
	return n;
}

/* Where everything of it is. */
static size_t put_places(char **arguments)
{
	size_t n = 0;

	arguments[n++] = "--state";
	arguments[n++] = stage.state;
	arguments[n++] = "--socket";
	arguments[n++] = stage.socket;
	arguments[n++] = "--pin";
	arguments[n++] = stage.pins;
	arguments[n++] = "--cgroup";
	arguments[n++] = stage.cgroup;
	return n;
}

static size_t put_port(char **arguments, size_t n, char text[8], uint16_t port)
{
	snprintf(text, 8, "%u", port);
	arguments[n++] = "--port";
	arguments[n++] = text;
	return n;
}

char *const *daemon_command(uint16_t port)
{
	static char *arguments[ARGUMENTS_MAX];
	static char program[320], texts[APPLICATIONS + MORE_PORTS][8];
	size_t n = 0;

	for (; daemon_wrapper && daemon_wrapper[n]; n++)
		arguments[n] = daemon_wrapper[n];
	n += put_program(arguments + n, program);
	if (!daemon_places_in_file)
		n += put_places(arguments + n);

	if (daemon_ports_in_file) {
		arguments[n] = NULL;
		return arguments;
	}
	if (port)
		n = put_port(arguments, n, texts[0], port);
	for (int i = 0; !port && i < APPLICATIONS; i++)
		n = put_port(arguments, n, texts[i], applications[i].port);
	for (int i = 0; !port && daemon_more_ports[i]; i++)
		n = put_port(arguments, n, texts[APPLICATIONS + i], daemon_more_ports[i]);
	arguments[n] = NULL;
	return arguments;
}

void daemon_configure(const char *text)
{
	FILE *file = fopen(stage.configuration, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static bool answers(void)
{
	struct client client;
	struct response response;
	int status;

	if (client_connect_unix(&client, stage.socket))
		return false;
	status = client_ask(&client, "GET", "/v1/status", NULL, "Connection: close\r\n", &response);
	client_close(&client);
	return status == 200;
}

uint64_t daemon_start(void)
{
	/* An emulated processor takes its time to verify the programs, at first twice. */
	uint64_t patience_ms = emulated() ? 6 * PATIENCE_MS : PATIENCE_MS;
	uint64_t start_ms = monotonic_ms();

	assert_int_equal(daemon_pid, 0);
	daemon_pid = process_start(stage.daemon_log, daemon_command(0));
	while (!answers()) {
		bool runs = process_runs(daemon_pid);

		if (!runs || monotonic_ms() > start_ms + patience_ms) {
			if (runs)
				process_stop(daemon_pid, SIGKILL);
			daemon_pid = 0;
			show_file(stage.daemon_log);
			fail_msg("the daemon %s", runs ? "does not answer" : "ended");
		}
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	return monotonic_ms() - start_ms;
}

void daemon_stop(void)
{
	int status = process_stop(daemon_pid, SIGTERM);

	daemon_pid = 0;
	if (!status)
		return;
	show_file(stage.daemon_log);
	if (status == -ETIMEDOUT)
		fail_msg("the daemon did not end when told to");
	fail_msg("the daemon ended with wait status %#x", status);
}

void daemon_kill(void)
{
	process_stop(daemon_pid, SIGKILL);
	daemon_pid = 0;
}

char *const *daemon_remove_command(const char *seconds)
{
	static char *arguments[ARGUMENTS_MAX];
	static char program[320];
	size_t n = put_program(arguments, program);

	n += put_places(arguments + n);
	arguments[n++] = "--remove";
	if (seconds) {
		arguments[n++] = "--drain";
		arguments[n++] = (char *)seconds;
	}
	arguments[n] = NULL;
	return arguments;
}

pid_t daemon_begin_remove(const char *seconds)
{
	return process_start(stage.daemon_log, daemon_remove_command(seconds));
}

int daemon_remove(void)
{
	/* Signal 0 sends nothing: it ends by itself. */
	int status = process_stop(daemon_begin_remove("0"), 0);

	return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int api_try(const char *method, const char *target, const char *body, char *ret_text, size_t size)
{
	struct client client;
	struct response response;
	char text[2048];
	int length, status;

	length = snprintf(text, sizeof(text),
			  "%s %s HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n"
			  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			  method, target, body ? strlen(body) : 0, body ? body : "");
	assert_in_range(length, 1, sizeof(text) - 1);
	status = client_connect_unix(&client, stage.socket);
	if (status)
		return status;
	status = client_send(&client, text, length);
	if (!status)
		status = client_read(&client, false, &response);
	if (!status) {
		snprintf(ret_text, size, "%.*s", (int)response.body_length, response.body);
		status = response.status;
	}
	client_close(&client);
	return status;
}

int api(const char *method, const char *target, const char *body, char *ret_text, size_t size)
{
	int status = api_try(method, target, body, ret_text, size);

	if (status < 0)
		fail_msg("%s %s: %s", method, target, strerror(-status));
	return status;
}

/* A call that must give this status; returns its JSON. */
static json_t *call(const char *method, const char *target, const char *body, int expected)
{
	char text[8192];
	int status = api(method, target, body, text, sizeof(text));
	json_t *json = json_loads(text, 0, NULL);

	if (status != expected || !json)
		fail_msg("%s %s: %d %s", method, target, status, text);
	return json;
}

static void put_text(const json_t *json, const char *name, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(json, name));

	assert_non_null(text);
	assert_true(strlen(text) < size);
	strcpy(to, text);
}

/* The members of a new key: account and label, and what differs from the defaults. */
static int describe_key(const struct key_options *options, char *body, size_t size)
{
	static unsigned int serial;
	char account[40], expires[80] = "", per_minute[40] = "", per_day[40] = "";

	serial++;
	snprintf(account, sizeof(account), "account-%u", serial);
	if (options->per_minute)
		snprintf(per_minute, sizeof(per_minute), ",\"perMinute\":%u", options->per_minute);
	if (options->per_day)
		snprintf(per_day, sizeof(per_day), ",\"perDay\":%u", options->per_day);
	if (options->expires_ms) {
		char text[RFC3339_SIZE];

		rfc3339_format(options->expires_ms, text);
		snprintf(expires, sizeof(expires), ",\"expiresAt\":\"%s\"", text);
	}
	return snprintf(body, size, "{\"account\":\"%s\",\"label\":\"key %u\"%s%s%s}",
			options->account ? options->account : account, serial, per_minute, per_day,
			expires);
}

struct key key_create(const struct key_options *options)
{
	struct key key = { 0 };
	char body[512];
	json_t *json;

	assert_in_range(describe_key(options, body, sizeof(body)), 1, sizeof(body) - 1);
	json = call("POST", "/v1/keys", body, 201);
	put_text(json, "id", key.id, sizeof(key.id));
	put_text(json, "key", key.text, sizeof(key.text));
	put_text(json, "account", key.account, sizeof(key.account));
	json_decref(json);
	return key;
}

struct key key_limited(unsigned int per_minute, unsigned int per_day)
{
	return key_create(&(struct key_options){ .per_minute = per_minute, .per_day = per_day });
}

void key_revoke(const struct key *key)
{
	char target[64];
	json_t *json;

	snprintf(target, sizeof(target), "/v1/keys/%s", key->id);
	json = call("DELETE", target, NULL, 200);
	assert_string_equal(json_string_value(json_object_get(json, "status")), "revoked");
	json_decref(json);
}

void key_used(const struct key *key, unsigned int *ret_minute, unsigned int *ret_day)
{
	char target[64];
	json_t *json;

	snprintf(target, sizeof(target), "/v1/keys/%s", key->id);
	json = call("GET", target, NULL, 200);
	assert_true(json_is_integer(json_object_get(json, "usedMinute")));
	assert_true(json_is_integer(json_object_get(json, "usedDay")));
	*ret_minute = json_integer_value(json_object_get(json, "usedMinute"));
	*ret_day = json_integer_value(json_object_get(json, "usedDay"));
	json_decref(json);
}

int64_t status_number(const char *place)
{
	json_t *json = call("GET", "/v1/status", NULL, 200);
	const json_t *at = json;
	char copy[64], *next = copy, *name;
	int64_t number;

	snprintf(copy, sizeof(copy), "%s", place);
	while ((name = strsep(&next, ".")))
		at = json_object_get(at, name);
	if (!json_is_integer(at))
		fail_msg("the status has no number %s", place);
	number = json_integer_value(at);
	json_decref(json);
	return number;
}

const char *unknown_key(void)
{
	static char text[KEY_TEXT_MAX + 1];

	assert_true(sodium_init() >= 0);
	key_make(KEY_WORD_DEFAULT, text);
	return text;
}

void expect_no_connections(void)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (status_number("connections.open") && monotonic_ms() < end_ms)
		breathe();
	assert_int_equal(status_number("connections.open"), 0);
}
