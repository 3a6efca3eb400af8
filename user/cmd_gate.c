/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `sluice gate …`: list, and take a port out; and `sluice reload`, which puts ports in.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "command.h"
#include "table.h"

static int print_gates(const json_t *gates)
{
	static const struct table_column columns[] = { { "PORT", true },
						       { "HEADS UP TO", true },
						       { "IDENTITY", false },
						       { "TRAILERS", false },
						       { "STATE", false } };
	struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	char limit[TABLE_NUMBER_SIZE], port[16];
	const json_t *gate;
	size_t i;
	int error;

	json_array_foreach(gates, i, gate)
	{
		bool draining = json_is_true(json_object_get(gate, "draining"));
		const char *const cells[] = {
			port,
			table_number(command_number(gate, "headLimit"), limit),
			command_text(gate, "identity"),
			command_text(gate, "trailers"),
			draining ? "draining" : "protected",
		};

		snprintf(port, sizeof(port), "%u", (unsigned)command_number(gate, "port"));
		table_add(table, draining ? TABLE_BAD : TABLE_PLAIN, cells);
	}
	error = table_print(table, stdout);
	table_free(table);
	return error ? command_out_of_memory() : EXIT_DONE;
}

int cmd_gate_ls(const struct arguments *arguments)
{
	json_t *answer;
	int status = command_call(arguments, "GET", "/v1/gates", NULL, &answer);

	if (status)
		return status;
	if (arguments->json)
		command_print_json(answer, JSON_INDENT(2));
	else
		status = print_gates(json_object_get(answer, "gates"));
	json_decref(answer);
	return status;
}

/* The gate of a port in an answer, or NULL. */
static const json_t *find_gate(const json_t *answer, uint64_t port)
{
	const json_t *gate;
	size_t i;

	json_array_foreach(json_object_get(answer, "gates"), i, gate)
	{
		if (command_number(gate, "port") == port)
			return gate;
	}
	return NULL;
}

/* Tell how it ended: the port has left, or stays. */
static int report_end(const struct arguments *arguments, unsigned port, bool stays)
{
	char message[80];
	json_t *answer;

	if (stays) {
		snprintf(message, sizeof(message),
			 "Port %u was configured again meanwhile, and stays.", port);
		return command_refuse(arguments, "CONFLICT", message);
	}
	if (!arguments->json) {
		fprintf(stderr, "Port %u is out of the gate: requests to it are not checked.\n",
			port);
		return EXIT_DONE;
	}
	answer = json_pack("{s:i, s:b}", "port", (int)port, "protected", 0);
	if (!answer)
		return command_out_of_memory();
	command_print_json(answer, JSON_INDENT(2));
	json_decref(answer);
	return EXIT_DONE;
}

/* Wait until the port has left, and tell. The daemon bounds the time. */
static int wait_for_end(const struct arguments *arguments, uint64_t port)
{
	const struct timespec pause = { .tv_nsec = 200000000 };
	bool gone = false, stays = false;

	while (!gone && !stays) {
		const json_t *gate;
		json_t *answer;
		int status;

		nanosleep(&pause, NULL);
		status = command_call(arguments, "GET", "/v1/gates", NULL, &answer);
		if (status)
			return status;
		gate = find_gate(answer, port);
		gone = !gate;
		stays = gate && !json_is_true(json_object_get(gate, "draining"));
		json_decref(answer);
	}
	return report_end(arguments, port, stays);
}

int cmd_gate_rm(const struct arguments *arguments)
{
	char *port = client_escape(arguments->id), *target = NULL;
	char query[32] = "";
	json_t *answer;
	int status;

	if (arguments->given & OPTION_DRAIN)
		snprintf(query, sizeof(query), "?drain=%u", arguments->drain);
	if (!port || asprintf(&target, "/v1/gates/%s%s", port, query) < 0) {
		free(port);
		return command_out_of_memory();
	}
	status = command_call(arguments, "DELETE", target, NULL, &answer);
	free(target);
	free(port);
	if (status)
		return status;
	if (!arguments->json)
		fprintf(stderr,
			"Port %u lets no connection in; those that are open end within %u s.\n",
			(unsigned)command_number(answer, "port"),
			(unsigned)command_number(answer, "seconds"));
	status = wait_for_end(arguments, command_number(answer, "port"));
	json_decref(answer);
	return status;
}

int cmd_reload(const struct arguments *arguments)
{
	const json_t *changes, *change;
	json_t *answer;
	size_t i;
	int status = command_call(arguments, "POST", "/v1/reload", NULL, &answer);

	if (status)
		return status;
	changes = json_object_get(answer, "changes");
	if (arguments->json)
		command_print_json(answer, JSON_INDENT(2));
	else if (!json_array_size(changes))
		puts("Nothing is different.");
	else
		json_array_foreach(changes, i, change)
			puts(json_is_string(change) ? json_string_value(change) : "");
	json_decref(answer);
	return EXIT_DONE;
}
