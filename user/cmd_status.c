/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `sluice status`, once or as a live view.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "counters.h"
#include "table.h"

#define LINE_ROOM 512

/* What was counted so far, and when that was read. */
struct sample {
	uint64_t counts[COUNTER_COUNT];
	double seconds; /* CLOCK_MONOTONIC */
};

static void take_sample(const json_t *status, struct sample *ret_sample)
{
	const json_t *counts = json_object_get(status, "counts");
	char member[COUNTER_MEMBER_SIZE];

	for (enum counter i = 0; i < COUNTER_COUNT; i++) {
		counter_member(i, member);
		ret_sample->counts[i] = command_number(counts, member);
	}
	ret_sample->seconds = monotonic_us() / 1e6;
}

/* "3 d 4 h", "2 h 10 min", "5 min 3 s", "9 s" */
static void span_text(uint64_t seconds, char *into, size_t size)
{
	unsigned long long days = seconds / 86400, hours = seconds / 3600 % 24;
	unsigned long long minutes = seconds / 60 % 60, rest = seconds % 60;

	if (days)
		snprintf(into, size, "%llu d %llu h", days, hours);
	else if (hours)
		snprintf(into, size, "%llu h %llu min", hours, minutes);
	else if (minutes)
		snprintf(into, size, "%llu min %llu s", minutes, rest);
	else
		snprintf(into, size, "%llu s", rest);
}

static void print_headline(const json_t *status)
{
	bool enforcing = json_is_true(json_object_get(status, "enforcing"));
	bool colour = table_colour(stdout);
	char up[64];

	span_text(command_number(status, "uptimeSeconds"), up, sizeof(up));
	printf("Sluice %s, up %s, %s%s%s\n", command_text(status, "version"), up,
	       colour ? (enforcing ? "\033[32m" : "\033[1;31m") : "",
	       enforcing ? "enforcing" : "NOT ENFORCING: requests are not checked",
	       colour ? "\033[0m" : "");
}

static void add_row(struct table *table, const char *name, const char *value)
{
	const char *const cells[] = { name, value };

	table_add(table, TABLE_PLAIN, cells);
}

static void add_gates(struct table *table, const json_t *status)
{
	const json_t *gates = json_object_get(status, "gates"), *gate;
	char line[LINE_ROOM], limit[TABLE_NUMBER_SIZE];
	size_t i;

	json_array_foreach(gates, i, gate)
	{
		snprintf(line, sizeof(line),
			 "%llu (heads up to %s bytes, identity: %s, trailers: %s)%s",
			 (unsigned long long)command_number(gate, "port"),
			 table_number(command_number(gate, "headLimit"), limit),
			 command_text(gate, "identity"), command_text(gate, "trailers"),
			 json_is_true(json_object_get(gate, "draining")) ? ", draining" : "");
		add_row(table, i ? "" : "Ports", line);
	}
	if (!json_array_size(gates))
		add_row(table, "Ports", "none");
}

static void add_keys(struct table *table, const json_t *status)
{
	static const char *const kinds[] = { "active", "expired", "revoked", "max" };
	const json_t *keys = json_object_get(status, "keys");
	char numbers[4][TABLE_NUMBER_SIZE], line[LINE_ROOM];

	for (size_t i = 0; i < 4; i++)
		table_number(command_number(keys, kinds[i]), numbers[i]);
	snprintf(line, sizeof(line), "%s active, %s expired, %s revoked; room for %s in force",
		 numbers[0], numbers[1], numbers[2], numbers[3]);
	add_row(table, "Keys", line);
}

static void add_connections(struct table *table, const json_t *status)
{
	const json_t *connections = json_object_get(status, "connections");
	char open[TABLE_NUMBER_SIZE], max[TABLE_NUMBER_SIZE], line[LINE_ROOM];

	snprintf(line, sizeof(line), "%s open, room for %s",
		 table_number(command_number(connections, "open"), open),
		 table_number(command_number(connections, "max"), max));
	add_row(table, "Connections", line);
}

static void add_shed(struct table *table, const json_t *status)
{
	const json_t *shed = json_object_get(status, "shed");
	char sources[TABLE_NUMBER_SIZE], max[TABLE_NUMBER_SIZE], line[LINE_ROOM];
	uint64_t count = command_number(shed, "sources");

	snprintf(line, sizeof(line), "%s %s, room for %s", table_number(count, sources),
		 command_plural(count, "source", "sources"),
		 table_number(command_number(shed, "max"), max));
	add_row(table, "Shed", json_is_true(json_object_get(shed, "on")) ? line : "off");
}

/* What stands where. Returns 0 or -ENOMEM. */
static int print_facts(const json_t *status)
{
	static const struct table_column columns[] = { { 0 }, { 0 } };
	bool taken_over = json_is_true(json_object_get(status, "takenOver"));
	struct table *table = table_new(columns, 2);
	char pins[LINE_ROOM];
	int error;

	snprintf(pins, sizeof(pins), "%.400s%s", command_text(status, "pinFolder"),
		 taken_over ? " (taken over from an earlier daemon)" : "");
	add_gates(table, status);
	add_keys(table, status);
	add_connections(table, status);
	add_shed(table, status);
	add_row(table, "Cgroup", command_text(status, "cgroup"));
	add_row(table, "Pins", pins);
	add_row(table, "State", command_text(status, "stateFolder"));
	error = table_print(table, stdout);
	table_free(table);
	return error;
}

/* Who guesses keys, where somebody does. Returns 0 or -ENOMEM. */
static int print_guesses(const json_t *status)
{
	static const struct table_column columns[] = { { "GUESSES FROM", false },
						       { "COUNT", true },
						       { "LAST", false } };
	const json_t *guesses = json_object_get(status, "guesses"), *guess;
	const json_t *top = json_object_get(guesses, "top");
	size_t shown = json_array_size(top), all = command_number(guesses, "sources"), i;
	struct table *table;
	char count[TABLE_NUMBER_SIZE], last[COMMAND_INSTANT_SIZE];
	int error;

	if (!shown)
		return 0;
	table = table_new(columns, 3);
	json_array_foreach(top, i, guess)
	{
		const char *const cells[] = { command_text(guess, "source"),
					      table_number(command_number(guess, "count"), count),
					      command_instant(guess, "lastAt", "", last) };

		table_add(table, TABLE_PLAIN, cells);
	}
	putchar('\n');
	error = table_print(table, stdout);
	table_free(table);
	if (all > shown)
		printf("and from %s more\n", table_number(all - shown, count));
	return error;
}

/* Every counter's total. Returns 0 or -ENOMEM. */
static int print_totals(const struct sample *sample)
{
	static const struct table_column columns[] = { { "COUNTED", false },
						       { "TOTAL", true },
						       { "WHAT", false } };
	struct table *table = table_new(columns, 3);
	char total[TABLE_NUMBER_SIZE];
	int error;

	for (size_t i = 0; i < COUNTER_COUNT; i++) {
		const char *const cells[] = { counter_texts[i].name,
					      table_number(sample->counts[i], total),
					      counter_texts[i].help };

		table_add(table, TABLE_PLAIN, cells);
	}
	error = table_print(table, stdout);
	table_free(table);
	return error;
}

/* True for counters of requests, which the live view shows. */
static bool of_requests(enum counter counter)
{
	return counter >= COUNTER_ADMITTED && counter <= COUNTER_DISCARDED;
}

/* A gate that was taken down and set up again counts from 0. */
static uint64_t increase(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

/* Requests by kind since before. Returns the lines printed or -ENOMEM. */
static int print_rates(const struct sample *before, const struct sample *now)
{
	static const struct table_column columns[] = {
		{ "REQUESTS", false }, { "PER SECOND", true }, { "TOTAL", true }, { "WHAT", false }
	};
	struct table *table = table_new(columns, 4);
	double elapsed = now->seconds - before->seconds;
	char rate[TABLE_NUMBER_SIZE], total[TABLE_NUMBER_SIZE];
	int lines = 1, error;

	for (enum counter i = 0; i < COUNTER_COUNT; i++) {
		uint64_t more = increase(before->counts[i], now->counts[i]);
		const char *const cells[] = {
			counter_texts[i].name,
			table_number(elapsed > 0 ? more / elapsed + 0.5 : 0, rate),
			table_number(now->counts[i], total),
			counter_texts[i].help,
		};

		if (!of_requests(i))
			continue;
		table_add(table,
			  more ? (i == COUNTER_ADMITTED ? TABLE_GOOD : TABLE_BAD) : TABLE_PLAIN,
			  cells);
		lines++;
	}
	error = table_print(table, stdout);
	table_free(table);
	return error ? error : lines;
}

/* One picture of the live view. Returns its lines or -ENOMEM. */
static int print_view(const json_t *status, const struct sample *before, const struct sample *now)
{
	const json_t *connections = json_object_get(status, "connections");
	uint64_t count = command_number(connections, "open");
	char open[TABLE_NUMBER_SIZE];
	int lines;

	print_headline(status);
	printf("%s %s open\n\n", table_number(count, open),
	       command_plural(count, "connection", "connections"));
	lines = print_rates(before, now);
	return lines < 0 ? lines : lines + 3;
}

/* Wait until the next whole second of *next, which is moved on. */
static void wait_second(struct timespec *next)
{
	next->tv_sec++;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR)
		;
}

/* Show one picture a second until interrupted; on a terminal each takes the former's place. */
static int watch(const struct arguments *arguments)
{
	bool terminal = isatty(STDOUT_FILENO);
	struct sample before, now;
	struct timespec next;
	json_t *status;
	int lines = 0;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (bool first = true;; first = false) {
		int failed = command_call(arguments, "GET", "/v1/status", NULL, &status);

		if (failed)
			return failed;
		take_sample(status, &now);
		if (first)
			before = now;
		if (arguments->json) {
			command_print_json(status, JSON_COMPACT);
		} else {
			if (!first)
				terminal ? printf("\033[%dF\033[J", lines) : putchar('\n');
			lines = print_view(status, &before, &now);
		}
		json_decref(status);
		if (lines < 0)
			return command_out_of_memory();
		if (fflush(stdout))
			return EXIT_REFUSED;
		before = now;
		wait_second(&next);
	}
}

int cmd_status(const struct arguments *arguments)
{
	struct sample sample;
	json_t *status;
	int error;

	if (arguments->watch)
		return watch(arguments);
	error = command_call(arguments, "GET", "/v1/status", NULL, &status);
	if (error)
		return error;
	if (arguments->json) {
		command_print_json(status, JSON_INDENT(2));
	} else {
		take_sample(status, &sample);
		print_headline(status);
		putchar('\n');
		error = print_facts(status);
		putchar('\n');
		if (!error)
			error = print_totals(&sample);
		if (!error)
			error = print_guesses(status);
		if (error)
			error = command_out_of_memory();
	}
	json_decref(status);
	return error;
}
