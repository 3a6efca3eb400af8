/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `sluice key …`: create, list, show, edit and revoke.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "table.h"

#define ROOM 64 /* for a cell made of numbers */

/* "3 / 1,000" */
static const char *usage_text(const json_t *record, const char *used, const char *limit,
			      char into[ROOM])
{
	char first[TABLE_NUMBER_SIZE], second[TABLE_NUMBER_SIZE];

	snprintf(into, ROOM, "%s / %s", table_number(command_number(record, used), first),
		 table_number(command_number(record, limit), second));
	return into;
}

static enum table_tone tone(const json_t *record)
{
	const char *status = command_text(record, "status");

	if (!strcmp(status, "active"))
		return TABLE_PLAIN;
	return strcmp(status, "expired") ? TABLE_FAINT : TABLE_BAD;
}

static int print_record(const json_t *record)
{
	static const struct table_column columns[] = { { 0 }, { 0 } };
	struct table *table = table_new(columns, 2);
	char minute[ROOM], day[ROOM], expires[COMMAND_INSTANT_SIZE], created[COMMAND_INSTANT_SIZE],
		used[COMMAND_INSTANT_SIZE];
	const char *const rows[][2] = {
		{ "ID", command_text(record, "id") },
		{ "Account", command_text(record, "account") },
		{ "Label", command_text(record, "label") },
		{ "Starts with", command_text(record, "prefix") },
		{ "Status", command_text(record, "status") },
		{ "This minute", usage_text(record, "usedMinute", "perMinute", minute) },
		{ "Today", usage_text(record, "usedDay", "perDay", day) },
		{ "Expires", command_instant(record, "expiresAt", "never", expires) },
		{ "Created", command_instant(record, "createdAt", "", created) },
		{ "Last used", command_instant(record, "lastUsedAt", "never", used) },
	};
	int error;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		table_add(table, TABLE_PLAIN, rows[i]);
	error = table_print(table, stdout);
	table_free(table);
	return error ? command_out_of_memory() : EXIT_DONE;
}

static int print_list(const json_t *keys)
{
	static const struct table_column columns[] = {
		{ "ID", false },      { "ACCOUNT", false },    { "LABEL", false },
		{ "STATUS", false },  { "THIS MINUTE", true }, { "TODAY", true },
		{ "EXPIRES", false }, { "LAST USED", false },
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
	char minute[ROOM], day[ROOM], expires[COMMAND_INSTANT_SIZE], used[COMMAND_INSTANT_SIZE];
	const json_t *record;
	size_t i;
	int error;

	json_array_foreach(keys, i, record)
	{
		const char *const cells[] = {
			command_text(record, "id"),
			command_text(record, "account"),
			command_text(record, "label"),
			command_text(record, "status"),
			usage_text(record, "usedMinute", "perMinute", minute),
			usage_text(record, "usedDay", "perDay", day),
			command_instant(record, "expiresAt", "never", expires),
			command_instant(record, "lastUsedAt", "never", used),
		};

		table_add(table, tone(record), cells);
	}
	error = table_print(table, stdout);
	table_free(table);
	return error ? command_out_of_memory() : EXIT_DONE;
}

/* One call on one key: method and body on /v1/keys/{id}. body's reference is taken. */
static int call_on_key(const struct arguments *arguments, const char *method, json_t *body,
		       json_t **ret_record)
{
	char *id = client_escape(arguments->id), *target = NULL;
	int status;

	if (!id || asprintf(&target, "/v1/keys/%s", id) < 0) {
		json_decref(body);
		free(id);
		return command_out_of_memory();
	}
	status = command_call(arguments, method, target, body, ret_record);
	free(target);
	free(id);
	return status;
}

/* What create and edit may say. Returns NULL where memory is short. */
static json_t *make_body(const struct arguments *arguments)
{
	json_t *body = json_object();
	int error = 0;

	if (arguments->account)
		error |= json_object_set_new(body, "account", json_string(arguments->account));
	if (arguments->label)
		error |= json_object_set_new(body, "label", json_string(arguments->label));
	if (arguments->per_minute)
		error |=
			json_object_set_new(body, "perMinute", json_integer(arguments->per_minute));
	if (arguments->per_day)
		error |= json_object_set_new(body, "perDay", json_integer(arguments->per_day));
	if (arguments->expires)
		error |= json_object_set_new(body, "expiresAt", json_string(arguments->expires));
	if (error) {
		json_decref(body);
		return NULL;
	}
	return body;
}

/* jansson makes no strings of anything but UTF-8; say so rather than "out of memory". */
static int refuse_body(const struct arguments *arguments)
{
	json_t *account = json_string(arguments->account ? arguments->account : "");
	json_t *label = json_string(arguments->label ? arguments->label : "");
	bool text = account && label;

	json_decref(account);
	json_decref(label);
	if (text)
		return command_out_of_memory();
	fputs("sluice: --account and --label must be UTF-8 text.\n", stderr);
	return EXIT_USAGE;
}

/* The secret alone goes to stdout, so that KEY=$(sluice key create …) holds it and nothing else. */
static void print_created(const json_t *record)
{
	char minute[TABLE_NUMBER_SIZE], day[TABLE_NUMBER_SIZE], expires[ROOM];

	fprintf(stderr, "Created %s for account %s: %s requests a minute, %s a day; expires: %s.\n",
		command_text(record, "id"), command_text(record, "account"),
		table_number(command_number(record, "perMinute"), minute),
		table_number(command_number(record, "perDay"), day),
		command_instant(record, "expiresAt", "never", expires));
	puts(command_text(record, "key"));
	fflush(stdout);
	fputs("This is the only time the key is shown: store it now.\n", stderr);
}

int cmd_key_create(const struct arguments *arguments)
{
	json_t *body = make_body(arguments), *record;
	int status;

	if (!body)
		return refuse_body(arguments);
	status = command_call(arguments, "POST", "/v1/keys", body, &record);
	if (status)
		return status;
	if (arguments->json)
		command_print_json(record, JSON_INDENT(2));
	else
		print_created(record);
	json_decref(record);
	return EXIT_DONE;
}

int cmd_key_ls(const struct arguments *arguments)
{
	char *account = client_escape(arguments->account ? arguments->account : "");
	char *target = NULL;
	json_t *list, *keys;
	int status;

	if (!account ||
	    asprintf(&target, "/v1/keys%s%s", *account ? "?account=" : "", account) < 0) {
		free(account);
		return command_out_of_memory();
	}
	status = command_call(arguments, "GET", target, NULL, &list);
	free(target);
	free(account);
	if (status)
		return status;

	keys = json_object_get(list, "keys");
	if (arguments->json)
		command_print_json(list, JSON_INDENT(2));
	else if (json_array_size(keys))
		status = print_list(keys);
	else if (arguments->account)
		fprintf(stderr, "Account %s has no keys.\n", arguments->account);
	else
		fputs("There are no keys. Make one: sluice key create --account A --label L\n",
		      stderr);
	json_decref(list);
	return status;
}

/* Print the record that a call answered with, under a line that says what was done. */
static int print_answer(const struct arguments *arguments, json_t *record, const char *done)
{
	int status = EXIT_DONE;

	if (arguments->json) {
		command_print_json(record, JSON_INDENT(2));
	} else {
		if (done)
			fprintf(stderr, "%s %s.\n", done, command_text(record, "id"));
		status = print_record(record);
	}
	json_decref(record);
	return status;
}

int cmd_key_show(const struct arguments *arguments)
{
	json_t *record;
	int status = call_on_key(arguments, "GET", NULL, &record);

	return status ? status : print_answer(arguments, record, NULL);
}

int cmd_key_edit(const struct arguments *arguments)
{
	json_t *body = make_body(arguments), *record;
	int status;

	if (!body)
		return refuse_body(arguments);
	status = call_on_key(arguments, "PATCH", body, &record);
	return status ? status : print_answer(arguments, record, "Changed");
}

int cmd_key_revoke(const struct arguments *arguments)
{
	json_t *record;
	int status = call_on_key(arguments, "DELETE", NULL, &record);

	return status ? status : print_answer(arguments, record, "Revoked");
}
