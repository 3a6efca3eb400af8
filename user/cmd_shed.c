/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `sluice shed …`: sources that are dropped where they arrive.
 */
#include <stdlib.h>

#include "client.h"
#include "command.h"
#include "table.h"

static void add_source(struct table *table, const json_t *source)
{
	char left[TABLE_NUMBER_SIZE], dropped[TABLE_NUMBER_SIZE], times[TABLE_NUMBER_SIZE];
	char until[COMMAND_INSTANT_SIZE];
	const char *const cells[] = {
		command_text(source, "source"),
		table_number(command_number(source, "secondsLeft"), left),
		command_instant(source, "until", "", until),
		table_number(command_number(source, "dropped"), dropped),
		table_number(command_number(source, "times"), times),
	};

	table_add(table, TABLE_PLAIN, cells);
}

static int print_sources(const json_t *answer)
{
	static const struct table_column columns[] = { { "SOURCE", false },
						       { "SECONDS LEFT", true },
						       { "UNTIL", false },
						       { "DROPPED", true },
						       { "TIMES", true } };
	struct table *table;
	const json_t *source;
	size_t i;
	int error;

	if (!json_is_true(json_object_get(answer, "on")))
		fputs("The shed is off: [shed] in the configuration names no interfaces.\n",
		      stderr);
	table = table_new(columns, sizeof(columns) / sizeof(*columns));
	json_array_foreach(json_object_get(answer, "sources"), i, source) add_source(table, source);
	error = table_print(table, stdout);
	table_free(table);
	return error ? command_out_of_memory() : EXIT_DONE;
}

int cmd_shed_ls(const struct arguments *arguments)
{
	json_t *answer;
	int status = command_call(arguments, "GET", "/v1/shed", NULL, &answer);

	if (status)
		return status;
	if (arguments->json)
		command_print_json(answer, JSON_INDENT(2));
	else
		status = print_sources(answer);
	json_decref(answer);
	return status;
}

int cmd_shed_add(const struct arguments *arguments)
{
	json_t *body = json_pack("{s:s}", "source", arguments->id), *answer;
	char until[COMMAND_INSTANT_SIZE];
	int status;

	/* What is not UTF-8 is no address either; the daemon says so of the empty one. */
	if (!body)
		body = json_pack("{s:s}", "source", "");
	if (arguments->given & OPTION_SECONDS)
		json_object_set_new(body, "seconds", json_integer(arguments->seconds));
	status = command_call(arguments, "POST", "/v1/shed", body, &answer);
	if (status)
		return status;
	if (arguments->json)
		command_print_json(answer, JSON_INDENT(2));
	else
		fprintf(stderr, "%s is shed until %s.\n", command_text(answer, "source"),
			command_instant(answer, "until", "", until));
	json_decref(answer);
	return status;
}

int cmd_shed_rm(const struct arguments *arguments)
{
	char *source = client_escape(arguments->id), *target = NULL;
	json_t *answer;
	int status;

	if (!source || asprintf(&target, "/v1/shed/%s", source) < 0) {
		free(source);
		return command_out_of_memory();
	}
	status = command_call(arguments, "DELETE", target, NULL, &answer);
	free(target);
	free(source);
	if (status)
		return status;
	if (arguments->json)
		command_print_json(answer, JSON_INDENT(2));
	else
		fprintf(stderr, "%s is let in again.\n", command_text(answer, "source"));
	json_decref(answer);
	return status;
}
