/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How `sluice` prints: pipes, terminals, full disks, and daemons that fail. */
#include "row.h"

#include <grp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stub.h"

/* Answers that are no answers. */
struct broken_row {
	const char *name;
	const char *answer;
	const char *err;
};

static const struct broken_row broken_rows[] = {
	{ "a daemon that says nothing is a failure", "", "without an answer" },
	{ "an answer that is not HTTP is a failure", "hello\r\n\r\n", "not HTTP" },
	{ "an answer without a head's end is a failure", "HTTP/1.1 200 OK\r\n", "not HTTP" },
	{ "an answer that is cut short is a failure",
	  "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"keys\":[]}", "cut short" },
	{ "an answer that is not JSON is a failure", "HTTP/1.1 200 OK\r\n\r\n{\"keys\":", "JSON" },
	{ "an answer that is no object is a failure", "HTTP/1.1 200 OK\r\n\r\n[]", "JSON object" },
};

static void test_broken_row(void **state)
{
	static const char *const arguments[] = { "key", "ls", NULL };
	const struct broken_row *row = *state;
	struct outcome outcome = run_against(row->answer, 0, arguments, TO_PIPES);

	assert_int_equal(outcome.status, 1);
	expect_text("stdout", outcome.out, "");
	expect_text("stderr", outcome.err, row->err);
	outcome_free(&outcome);
}

static void test_secret_alone(void **state)
{
	static const char *const arguments[] = { "key",	    "create", "--account", "acme",
						 "--label", "ci",     NULL };
	char *answer = make_answer(201, NEW);
	struct outcome outcome = run_against(answer, 0, arguments, TO_PIPES);

	(void)state;
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, SECRET "\n");
	assert_null(strstr(outcome.err, SECRET));
	outcome_free(&outcome);
	free(answer);
}

/* What a daemon says of a port: to whoever takes it out, and to whoever looks then. */
#define PORT_GONE "{\"port\":3000,\"draining\":true,\"seconds\":5,\"gates\":[]}"
#define PORT_STAYS                                                                                 \
	"{\"port\":3000,\"draining\":true,\"seconds\":5,\"gates\":[{\"port\":3000,\"draining\":"   \
	"false}]}"

/* Take a port out with --json: one document on stdout, whatever becomes of it, and nothing else. */
static void expect_removal(const char *body, int requests, int status, const char *member,
			   const char *text)
{
	static const char *const arguments[] = { "gate", "rm", "3000", "--json", NULL };
	char *answer = make_answer(202, body);
	struct outcome outcome = run_against(answer, requests, arguments, TO_PIPES);
	json_t *json = json_loads(outcome.out, 0, NULL);

	assert_int_equal(outcome.status, status);
	assert_string_equal(outcome.err, "");
	if (!json)
		fail_msg("this is not one JSON document: %s", outcome.out);
	if (text)
		assert_string_equal(json_string_value(json_object_get(json, member)), text);
	else
		assert_true(json_is_false(json_object_get(json, member)));
	json_decref(json);
	outcome_free(&outcome);
	free(answer);
}

static void test_removal(void **state)
{
	(void)state;
	expect_removal(PORT_GONE, 0, 0, "protected", NULL);
	expect_removal(PORT_STAYS, 0, 1, "code", "CONFLICT");
	expect_removal(PORT_GONE, 1, 3, "code", "UNAVAILABLE");
}

/* A disk that is full. */
static void test_full_disk(void **state)
{
	static const char *const arguments[] = { "key",	    "create", "--account", "acme",
						 "--label", "ci",     NULL };
	char *answer = make_answer(201, NEW);
	struct outcome outcome = run_against(answer, 0, arguments, TO_FULL_DISK);

	(void)state;
	assert_int_equal(outcome.status, 1);
	expect_text("stderr", outcome.err, "Writing to stdout failed");
	outcome_free(&outcome);
	free(answer);
}

static void test_unreachable(void **state)
{
	static const char *const arguments[] = { "key", "ls", NULL };
	static const char *const json[] = { "key", "ls", "--json", NULL };
	struct outcome outcome = run_cli("/nonexistent/sluice.sock", arguments, TO_PIPES);

	(void)state;
	assert_int_equal(outcome.status, 3);
	expect_text("stdout", outcome.out, "");
	expect_text("stderr", outcome.err, "not reachable at /nonexistent/sluice.sock");
	expect_text("stderr", outcome.err, "as it was started before");
	expect_text("stderr", outcome.err, "systemctl start sluiced");
	expect_text("stderr", outcome.err, "stays in force meanwhile");
	assert_null(strstr(outcome.err, "--port"));
	outcome_free(&outcome);

	outcome = run_cli("/nonexistent/sluice.sock", json, TO_PIPES);
	assert_int_equal(outcome.status, 3);
	expect_text("stdout", outcome.out, "\"code\": \"UNAVAILABLE\"");
	expect_text("stdout", outcome.out, "\"traceId\": \"req_");
	expect_text("stderr", outcome.err, "");
	outcome_free(&outcome);
}

/* A socket of that user and the group adm, with that mode. */
static void expect_no_access(uid_t owner, mode_t mode, const char *takes)
{
	static const char *const arguments[] = { "key", "ls", NULL };
	struct stub *stub = stub_start("", 0);
	struct outcome outcome;
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "sluice: You may not use %s: that takes %s.\n",
		 stub_socket(stub), takes);
	assert_int_equal(chown(stub_socket(stub), owner, getgrnam("adm")->gr_gid), 0);
	assert_int_equal(chmod(stub_socket(stub), mode), 0);
	outcome = run_cli_as_stranger(stub_socket(stub), arguments);
	stub_stop(stub);
	assert_int_equal(outcome.status, 3);
	expect_text("stdout", outcome.out, "");
	assert_string_equal(outcome.err, wanted);
	outcome_free(&outcome);
}

static void test_no_access(void **state)
{
	(void)state;
	expect_no_access(65534, 0660, "root or its group (adm)");
	expect_no_access(65534, 0600, "root or its owner (nobody)");
}

static void test_long_path(void **state)
{
	static const char *const arguments[] = { NULL };
	char path[200];
	struct outcome outcome;

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	outcome = run_cli(path, arguments, TO_PIPES);
	assert_int_equal(outcome.status, 3);
	expect_text("stderr", outcome.err, "at most 107 bytes");
	outcome_free(&outcome);
}

/* A list of many times a pipe's and a socket's buffer. */
static void test_long_list(void **state)
{
	static const char *const arguments[] = { "key", "ls", NULL };
	const size_t count = 20000;
	char *body = malloc(count * sizeof(KEY) + 64), *to = body, *answer;
	struct outcome outcome;
	size_t lines = 0;

	(void)state;
	assert_non_null(body);
	to += sprintf(to, "{\"keys\":[");
	for (size_t i = 0; i < count; i++)
		to += sprintf(to, "%s" KEY, i ? "," : "");
	sprintf(to, "]}");
	answer = make_answer(200, body);
	outcome = run_against(answer, 0, arguments, TO_PIPES);
	assert_int_equal(outcome.status, 0);
	for (const char *at = outcome.out; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, count + 1);
	outcome_free(&outcome);
	free(answer);
	free(body);
}

/* The stand-in ends after the second picture, and so does the view. */
static struct outcome watch_status(const char *body, enum output output, bool json)
{
	const char *const arguments[] = { "status", "--watch", json ? "--json" : NULL, NULL };
	char *answer = make_answer(200, body);
	struct outcome outcome = run_against(answer, 2, arguments, output);

	free(answer);
	return outcome;
}

static struct outcome watch(enum output output, bool json)
{
	return watch_status(STATUS, output, json);
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		count++;
	}
	return count;
}

static void test_watch(void **state)
{
	struct outcome outcome = watch(TO_PIPES, false);

	(void)state;
	assert_int_equal(outcome.status, 3);
	assert_int_equal(count_of(outcome.out, "1,234,567"), 2);
	assert_int_equal(count_of(outcome.out, "PER SECOND"), 2);
	assert_int_equal(count_of(outcome.out, "\n12 connections open\n"), 2);
	assert_null(strchr(outcome.out, '\033'));
	expect_text("stderr", outcome.err, "not reachable");
	outcome_free(&outcome);
	outcome = watch_status("{\"connections\":{\"open\":1}}", TO_PIPES, false);
	assert_int_equal(count_of(outcome.out, "\n1 connection open\n"), 2);
	outcome_free(&outcome);
}

static void test_watch_json(void **state)
{
	struct outcome outcome = watch(TO_PIPES, true);

	(void)state;
	assert_int_equal(count_of(outcome.out, "\n{\"version\""), 1);
	assert_int_equal(count_of(outcome.out, "{\"version\""), 2);
	outcome_free(&outcome);
}

static void expect_lines_within(const char *text, size_t columns)
{
	for (size_t length; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		if (length > columns)
			fail_msg("%zu columns: %.*s", length, (int)length, text);
	}
}

static void test_width(void **state)
{
	static const char *const arguments[] = { "status", NULL };
	char *answer = make_answer(200, STATUS);
	struct outcome outcome = run_against(answer, 0, arguments, TO_PIPES);

	(void)state;
	expect_lines_within(outcome.out, 100);
	outcome_free(&outcome);
	outcome = watch(TO_PIPES, false);
	expect_lines_within(outcome.out, 100);
	outcome_free(&outcome);
	free(answer);
}

/* The second picture begins as many lines up as the first one has. */
static void test_watch_terminal(void **state)
{
	struct outcome outcome = watch(TO_TERMINAL, false);
	char *back = strstr(outcome.out, "\033[H"), *up = strstr(outcome.out, "F\033[J");
	size_t lines = 0;

	(void)state;
	assert_null(back);
	assert_non_null(up);
	while (up > outcome.out && up[-1] != '[')
		up--;
	for (const char *at = outcome.out; at < up; at++)
		lines += *at == '\n';
	assert_int_equal(strtoul(up, NULL, 10), lines);
	outcome_free(&outcome);
}

static struct outcome status_on_terminal(void)
{
	static const char *const arguments[] = { "status", NULL };
	char *answer = make_answer(200, STATUS);
	struct outcome outcome = run_against(answer, 0, arguments, TO_TERMINAL);

	free(answer);
	return outcome;
}

static void test_terminal(void **state)
{
	struct outcome outcome = status_on_terminal();

	(void)state;
	assert_int_equal(outcome.status, 0);
	expect_text("the terminal", outcome.out, "\033[32menforcing\033[0m");
	outcome_free(&outcome);

	setenv("NO_COLOR", "1", 1);
	outcome = status_on_terminal();
	unsetenv("NO_COLOR");
	assert_int_equal(outcome.status, 0);
	assert_null(strchr(outcome.out, '\033'));
	outcome_free(&outcome);
}

static void test_window(void **state)
{
	struct outcome outcome = status_on_terminal();
	char *line, *rest = outcome.out;
	char *at;

	(void)state;
	while ((line = strsep(&rest, "\r\n"))) {
		size_t columns = strlen(line);

		/* Colour takes no room. */
		for (at = line; (at = strchr(at, '\033')); at++)
			columns -= strcspn(at, "m") + 1;
		assert_in_range(columns, 0, 80);
	}
	outcome_free(&outcome);
}

#define TEST(name, test)                                                                           \
	{                                                                                          \
		name, test, NULL, NULL, NULL                                                       \
	}

int main(void)
{
	static const struct CMUnitTest single[] = {
		TEST("create prints the secret alone on stdout", test_secret_alone),
		TEST("a secret that could not be written is a failure", test_full_disk),
		TEST("a daemon that is not there exits 3 and says how to start it",
		     test_unreachable),
		TEST("a socket that may not be used exits 3 and says who may", test_no_access),
		TEST("a socket's path that is too long is told so", test_long_path),
		TEST("a removal with --json is one JSON document, however it ends", test_removal),
		TEST("a list of 20,000 keys is printed whole", test_long_list),
		TEST("a terminal gets colour, unless NO_COLOR is set", test_terminal),
		TEST("no line is wider than the terminal", test_window),
		TEST("counts of millions fit into 100 columns", test_width),
		TEST("status --watch goes on until the daemon is gone", test_watch),
		TEST("status --watch --json prints one line each time", test_watch_json),
		TEST("on a terminal each view takes the former's place", test_watch_terminal),
	};
	enum {
		BROKEN = sizeof(broken_rows) / sizeof(*broken_rows),
		SINGLE = sizeof(single) / sizeof(*single),
	};
	struct CMUnitTest tests[BROKEN + SINGLE];

	memcpy(tests, single, sizeof(single));
	for (size_t i = 0; i < BROKEN; i++)
		tests[SINGLE + i] = (struct CMUnitTest)TEST(broken_rows[i].name, test_broken_row);
	for (size_t i = 0; i < BROKEN; i++)
		tests[SINGLE + i].initial_state = (void *)&broken_rows[i];
	return run_rows(NULL, 0, tests, BROKEN + SINGLE);
}
