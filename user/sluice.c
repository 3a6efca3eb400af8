/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Main of the command line tool: the table of commands, and how they talk to the daemon.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "command.h"
#include "privileges.h"
#include "secret.h"
#include "trace_id.h"

#define KEY_ID "a key's ID; sluice key ls lists them"
#define SOURCE "an address, such as 203.0.113.7 or 2001:db8::7"

/* The first is what `sluice` does without a command. */
static const struct command commands[] = {
	{
		.name = "status",
		.run = cmd_status,
		.help = "Show what is protected, whether it is in force, and what was counted.",
		.optional = OPTION_WATCH,
		.example = "  sluice status --watch\n",
	},
	{
		.name = "key create",
		.run = cmd_key_create,
		.help = "Make a key. Its text goes to stdout, this once; all else goes to stderr.",
		.required = OPTION_ACCOUNT | OPTION_LABEL,
		.optional = OPTION_PER_MINUTE | OPTION_PER_DAY | OPTION_EXPIRES,
		.example = "  sluice key create --account acme --label ci --per-minute 120 "
			   "--expires 90d\n",
	},
	{
		.name = "key ls",
		.run = cmd_key_ls,
		.help = "List keys with what they have used of their limits.",
		.optional = OPTION_ACCOUNT,
		.example = "  sluice key ls --account acme\n",
	},
	{
		.name = "key show",
		.run = cmd_key_show,
		.help = "Show one key.",
		.takes = "ID",
		.needs = KEY_ID,
		.example = "  sluice key show key_abcdefgh2345\n",
	},
	{
		.name = "key edit",
		.run = cmd_key_edit,
		.help = "Change a key. New limits are in force at once and keep what is already "
			"used.",
		.takes = "ID",
		.needs = KEY_ID,
		.optional = OPTION_LABEL | OPTION_PER_MINUTE | OPTION_PER_DAY,
		.changes = true,
		.example = "  sluice key edit key_abcdefgh2345 --per-minute 600\n",
	},
	{
		.name = "key revoke",
		.run = cmd_key_revoke,
		.help = "Revoke a key for good. Its next request gets 401, on open connections "
			"too.",
		.takes = "ID",
		.needs = KEY_ID,
		.example = "  sluice key revoke key_abcdefgh2345\n",
	},
	{
		.name = "gate ls",
		.run = cmd_gate_ls,
		.help = "List the ports that are protected.",
		.example = "  sluice gate ls\n",
	},
	{
		.name = "gate rm",
		.run = cmd_gate_rm,
		.help = "Take a port out of the gate, once it is out of the configuration: nobody "
			"is let\n"
			"in, what is under way ends, and then the port is open to all, unchecked.",
		.takes = "PORT",
		.needs = "a port; sluice gate ls lists them",
		.optional = OPTION_DRAIN,
		.example = "  sluice gate rm 3000 --drain 30\n",
	},
	{
		.name = "shed ls",
		.run = cmd_shed_ls,
		.help = "List the sources that are shed: dropped where they arrive.",
		.example = "  sluice shed ls\n",
	},
	{
		.name = "shed add",
		.run = cmd_shed_add,
		.help = "Shed a source: what comes from it to protected ports is dropped from now "
			"on, on\n"
			"open connections, too, at the interfaces that [shed] names.",
		.takes = "SOURCE",
		.needs = SOURCE,
		.optional = OPTION_SECONDS,
		.example = "  sluice shed add 203.0.113.7 --seconds 600\n",
	},
	{
		.name = "shed rm",
		.run = cmd_shed_rm,
		.help = "Let a source in again that is shed.",
		.takes = "SOURCE",
		.needs = SOURCE,
		.example = "  sluice shed rm 203.0.113.7\n",
	},
	{
		.name = "reload",
		.run = cmd_reload,
		.help = "Have the daemon read its configuration again: all of it is put in force, "
			"or\n"
			"nothing. Prints what is different.",
		.example = "  sluice reload\n",
	},
	{ 0 },
};

/* A command with what it does, whose further lines are indented. */
static void print_row(const struct command *command, FILE *to)
{
	const char *name = command->name;

	for (const char *line = command->help; *line; name = "") {
		int length = strcspn(line, "\n");

		fprintf(to, "  %-11s %.*s\n", name, length, line);
		line += length + (line[length] == '\n');
	}
}

/* All commands, or those of a group. */
static void print_help(const char *group, FILE *to)
{
	if (group)
		fprintf(to, "Usage: sluice %s COMMAND [OPTION...]\n\n", group);
	else
		fputs("Usage: sluice [COMMAND] [OPTION...]\n\n"
		      "Manages the API keys that the gate enforces. Without a command: "
		      "status.\n\n",
		      to);
	for (const struct command *command = commands; command->name; command++)
		if (!group || arguments_in_group(command, group))
			print_row(command, to);
	fputs("\nEach command takes --json, --socket PATH and --help.\n"
	      "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 daemon not reachable.\n",
	      to);
}

static int report_usage(const struct command *command, const char *why)
{
	fprintf(stderr, "sluice: %s\n", why);
	if (command)
		arguments_usage(command, stderr);
	else
		fputs("Try: sluice --help\n", stderr);
	return EXIT_USAGE;
}

int command_out_of_memory(void)
{
	fputs("sluice: out of memory.\n", stderr);
	return EXIT_REFUSED;
}

void command_print_json(const json_t *value, size_t flags)
{
	json_dumpf(value, stdout, flags);
	putchar('\n');
}

const char *command_text(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

uint64_t command_number(const json_t *object, const char *member)
{
	json_int_t number = json_integer_value(json_object_get(object, member));

	return number < 0 ? 0 : number;
}

const char *command_instant(const json_t *object, const char *member, const char *absent,
			    char into[COMMAND_INSTANT_SIZE])
{
	const char *instant = command_text(object, member);

	if (strlen(instant) < strlen("2027-01-31T18:00:00"))
		return absent;
	snprintf(into, COMMAND_INSTANT_SIZE, "%.10s %.8s UTC", instant, instant + 11);
	return into;
}

const char *command_plural(uint64_t number, const char *one, const char *more)
{
	return number == 1 ? one : more;
}

/* The client's own error, in the shape that the daemon's have. */
static void report_json(const char *code, const char *message)
{
	json_t *text = json_string(message), *error;
	char trace_id[TRACE_ID_TEXT_SIZE];

	trace_id_make(trace_id);
	/* A socket's path need not be UTF-8, which JSON must be. */
	if (!text)
		text = json_string("The daemon gave no usable answer.");
	error = json_pack("{s:O, s:O, s:s, s:s}", "error", text, "message", text, "code", code,
			  "traceId", trace_id);
	command_print_json(error, JSON_INDENT(2));
	json_decref(error);
	json_decref(text);
}

int command_refuse(const struct arguments *arguments, const char *code, const char *message)
{
	if (arguments->json)
		report_json(code, message);
	else
		fprintf(stderr, "sluice: %s\n", message);
	return EXIT_REFUSED;
}

/* "You may not use …: that takes root or its group (adm)." */
static void explain_access(const char *path, char *message, size_t message_size)
{
	const struct group *group = NULL;
	const struct passwd *owner = NULL;
	struct stat status;

	if (!stat(path, &status)) {
		group = status.st_mode & S_IWGRP ? getgrgid(status.st_gid) : NULL;
		owner = status.st_uid ? getpwuid(status.st_uid) : NULL;
	}
	if (group)
		snprintf(message, message_size,
			 "You may not use %.200s: that takes root or its group (%.64s).", path,
			 group->gr_name);
	else if (owner)
		snprintf(message, message_size,
			 "You may not use %.200s: that takes root or its owner (%.64s).", path,
			 owner->pw_name);
	else
		snprintf(message, message_size, "You may not use %.200s: that takes root.", path);
}

/* No answer was had; error and why are client_request()'s. */
static int report_failure(const struct arguments *arguments, int error, const char *why)
{
	char message[640];

	if (error == -EACCES)
		explain_access(arguments->socket, message, sizeof(message));
	else if (error == -ENOTCONN)
		snprintf(message, sizeof(message), "The daemon is not reachable at %.200s: %s.",
			 arguments->socket, why);
	else
		snprintf(message, sizeof(message),
			 "The daemon at %.200s gave no usable answer: %s. What was asked may have "
			 "been done.",
			 arguments->socket, why);

	if (arguments->json) {
		report_json("UNAVAILABLE", message);
	} else {
		fprintf(stderr, "sluice: %s\n", message);
		if (error == -ENOTCONN)
			/* With other ports it would open one that is protected. */
			fputs("Start it as it was started before, such as with `systemctl start "
			      "sluiced`, or say with\n--socket PATH where it listens. A gate that "
			      "stands stays in force meanwhile.\n",
			      stderr);
	}
	return error == -ENOTCONN || error == -EACCES ? EXIT_UNREACHABLE : EXIT_REFUSED;
}

static int report_refusal(const struct arguments *arguments, const struct client_answer *answer)
{
	const char *message = command_text(answer->body, "message");

	if (arguments->json)
		command_print_json(answer->body, JSON_INDENT(2));
	else if (*message)
		fprintf(stderr, "sluice: %s\n", message);
	else
		fprintf(stderr, "sluice: The daemon answered %d without a reason.\n",
			answer->status);
	return EXIT_REFUSED;
}

int command_call(const struct arguments *arguments, const char *method, const char *target,
		 json_t *body, json_t **ret_body)
{
	struct client_answer answer;
	char why[256];
	int error, status;

	error = client_request(arguments->socket, method, target, body, &answer, why, sizeof(why));
	json_decref(body);
	if (error)
		return report_failure(arguments, error, why);
	if (answer.status >= 300) {
		status = report_refusal(arguments, &answer);
		json_decref(answer.body);
		return status;
	}
	*ret_body = answer.body;
	return EXIT_DONE;
}

/* A full disk or a closed pipe must not look like success. */
static int flush_output(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "sluice: Writing to stdout failed: %s.\n", strerror(errno));
	return status == EXIT_DONE ? EXIT_REFUSED : status;
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct arguments arguments;
	char why[ARGUMENTS_WHY_SIZE];

	/* An answer may hold a new key. */
	secret_wipe_json();
	if (privileges_hide_memory()) {
		fprintf(stderr, "sluice: Core dumps cannot be turned off: %s.\n", strerror(errno));
		return EXIT_REFUSED;
	}
	if (arguments_parse(commands, argc, argv, &command, &arguments, why))
		return report_usage(command, why);

	if (arguments.version)
		puts("sluice " SLUICE_VERSION);
	else if (!command)
		print_help(arguments.group, stdout);
	else if (arguments.help)
		arguments_help(command, stdout);
	else
		return flush_output(command->run(&arguments));
	return flush_output(EXIT_DONE);
}
