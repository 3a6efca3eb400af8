/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "arguments.h"

#include <errno.h>
#include <string.h>

#include "keys.h"
#include "setting.h"
#include "shed.h"

#define SPAN_DAYS_MAX 36500 /* a hundred years */
#define DAY_MS	      (24 * 60 * 60 * UINT64_C(1000))

enum option_kind {
	KIND_FLAG,
	KIND_TEXT,
	KIND_NUMBER,
	KIND_EXPIRY,
};

struct option_rule {
	enum option_flag flag;
	const char *name;
	const char *value; /* how help calls the value; NULL for a flag */
	const char *help;
	enum option_kind kind;
	size_t offset;	   /* of the member in struct arguments */
	uint32_t min, max; /* of a number */
};

#define MEMBER(name) offsetof(struct arguments, name)

/* In the order in which help lists them. */
static const struct option_rule options[] = {
	{ OPTION_ACCOUNT, "--account", "A", "whose keys: 1-36 of A-Z a-z 0-9 . _ @ : -", KIND_TEXT,
	  MEMBER(account), 0, 0 },
	{ OPTION_LABEL, "--label", "L", "a name of 1-64 characters, unique in the account",
	  KIND_TEXT, MEMBER(label), 0, 0 },
	{ OPTION_PER_MINUTE, "--per-minute", "N", "requests per minute, 1-10000 (new keys: 60)",
	  KIND_NUMBER, MEMBER(per_minute), 1, KEY_PER_MINUTE_MAX },
	{ OPTION_PER_DAY, "--per-day", "N", "requests per day, 1-100000 (new keys: 1000)",
	  KIND_NUMBER, MEMBER(per_day), 1, KEY_PER_DAY_MAX },
	{ OPTION_EXPIRES, "--expires", "T",
	  "when the key becomes invalid: 2027-01-31T18:00:00Z,\n"
	  "                   2027-01-31 (its start, UTC), or a span: 90d, 12h, 30m",
	  KIND_EXPIRY, MEMBER(expires), 0, 0 },
	{ OPTION_DRAIN, "--drain", "S", "seconds that requests may take to end, 0-3600 (10)",
	  KIND_NUMBER, MEMBER(drain), 0, CONFIG_DRAIN_MAX },
	{ OPTION_SECONDS, "--seconds", "S", "how long, 1-2592000 (first, in [shed])", KIND_NUMBER,
	  MEMBER(seconds), 1, SHED_SECONDS_MAX },
	{ OPTION_WATCH, "--watch", NULL, "go on, with rates, once a second until interrupted",
	  KIND_FLAG, MEMBER(watch), 0, 0 },
	{ OPTION_JSON, "--json", NULL, "print the daemon's JSON, errors included", KIND_FLAG,
	  MEMBER(json), 0, 0 },
	{ OPTION_SOCKET, "--socket", "PATH", "the daemon's socket (" CONFIG_SOCKET ")", KIND_TEXT,
	  MEMBER(socket), 0, 0 },
	{ OPTION_HELP, "--help", NULL, "this text", KIND_FLAG, MEMBER(help), 0, 0 },
	{ OPTION_VERSION, "--version", NULL, "the version", KIND_FLAG, MEMBER(version), 0, 0 },
};

#define refuse(why, ...) say_why(-EINVAL, why, ARGUMENTS_WHY_SIZE, __VA_ARGS__)

/* Match "--name" and "--name=value". */
static const struct option_rule *find_option(const char *text)
{
	size_t length = strcspn(text, "=");

	if (!strcmp(text, "-h"))
		text = "--help", length = strlen(text);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strlen(options[i].name) == length && !strncmp(options[i].name, text, length))
			return &options[i];
	}
	return NULL;
}

/* Digits and one of d, h, m: -EINVAL where text is not that, -ERANGE: more than a hundred years. */
static int parse_span(const char *text, uint64_t *ret_ms)
{
	static const char units[] = "dhm";
	static const uint32_t per_day[] = { 1, 24, 24 * 60 };
	size_t length = strspn(text, "0123456789");
	const char *unit = text[length] ? strchr(units, text[length]) : NULL;
	char number[16];
	uint32_t count;

	if (!unit || !length || text[length + 1])
		return -EINVAL;
	if (length >= sizeof(number))
		return -ERANGE;
	memcpy(number, text, length);
	number[length] = '\0';
	if (setting_read_number(number, 0, SPAN_DAYS_MAX * per_day[unit - units], &count))
		return -ERANGE;
	*ret_ms = count * (DAY_MS / per_day[unit - units]);
	return 0;
}

int arguments_instant(const char *text, uint64_t now, char ret_instant[RFC3339_SIZE])
{
	char start_of_day[RFC3339_SIZE];
	uint64_t ms;
	int error = parse_span(text, &ms);

	snprintf(start_of_day, sizeof(start_of_day), "%.10sT00:00:00Z", text);
	if (!error)
		ms += now;
	else if (error == -EINVAL)
		error = rfc3339_parse(strlen(text) == strlen("yyyy-mm-dd") ? start_of_day : text,
				      &ms);
	if (error)
		return error;
	if (ms <= now)
		return -ETIME;
	rfc3339_format(ms, ret_instant);
	return 0;
}

static int refuse_expiry(int error, const char *value, char why[ARGUMENTS_WHY_SIZE])
{
	switch (error) {
	case -ETIME:
		return refuse(why,
			      "--expires \"%.40s\" has passed; a date stands for its start, UTC.",
			      value);
	case -ERANGE:
		return refuse(why,
			      "--expires \"%.40s\" is too far ahead or back; a span has at most %d "
			      "days.",
			      value, SPAN_DAYS_MAX);
	default:
		return refuse(why,
			      "--expires takes an instant such as 2027-01-31T18:00:00Z, a date "
			      "such as 2027-01-31, or a span such as 90d, 12h or 30m, not "
			      "\"%.40s\".",
			      value);
	}
}

static int store(const struct option_rule *option, const char *value, struct arguments *arguments,
		 char why[ARGUMENTS_WHY_SIZE])
{
	void *member = (char *)arguments + option->offset;
	int error;

	switch (option->kind) {
	case KIND_FLAG:
		*(bool *)member = true;
		return 0;
	case KIND_TEXT:
		if (!*value)
			return refuse(why, "%s must not be empty.", option->name);
		*(const char **)member = value;
		return 0;
	case KIND_NUMBER:
		if (setting_read_number(value, option->min, option->max, member))
			return refuse(why, "%s takes a whole number from %u to %u, not \"%.40s\".",
				      option->name, option->min, option->max, value);
		return 0;
	case KIND_EXPIRY:
		error = arguments_instant(value, now_ms(), arguments->instant);
		if (error)
			return refuse_expiry(error, value, why);
		*(const char **)member = arguments->instant;
		return 0;
	}
	return -EINVAL;
}

/* The command's second word where its first is noun, or NULL. */
static const char *verb_of(const struct command *command, const char *noun)
{
	size_t length = strlen(noun);

	if (!length || strncmp(command->name, noun, length) || command->name[length] != ' ')
		return NULL;
	return command->name + length + 1;
}

bool arguments_in_group(const struct command *command, const char *noun)
{
	return verb_of(command, noun);
}

/* The word, where it is the first of some commands, or NULL. */
static const char *find_group(const struct command *commands, const char *word)
{
	for (; commands->name; commands++)
		if (arguments_in_group(commands, word))
			return word;
	return NULL;
}

/* Say which words may stand behind noun, or behind `sluice` where noun is NULL. */
static void list_commands(const struct command *commands, const char *noun,
			  char why[ARGUMENTS_WHY_SIZE])
{
	size_t length = strlen(why);
	const char *separator = "";

	length += snprintf(why + length, ARGUMENTS_WHY_SIZE - length, "%s",
			   noun ? noun : "The commands are: ");
	if (noun)
		length += snprintf(why + length, ARGUMENTS_WHY_SIZE - length, " needs one of: ");
	for (; commands->name && length < ARGUMENTS_WHY_SIZE; commands++) {
		const char *word = noun ? verb_of(commands, noun) : commands->name;

		if (!word)
			continue;
		length += snprintf(why + length, ARGUMENTS_WHY_SIZE - length, "%s%s", separator,
				   word);
		separator = ", ";
	}
	if (length < ARGUMENTS_WHY_SIZE)
		snprintf(why + length, ARGUMENTS_WHY_SIZE - length, ".");
}

/* Say what may stand at argv[at], or behind it, where no command was understood. */
static int refuse_command(const struct command *commands, int argc, char **argv, int at,
			  char why[ARGUMENTS_WHY_SIZE])
{
	const char *noun = find_group(commands, argv[at]);

	*why = '\0';
	if (!noun)
		refuse(why, "There is no command \"%.40s\". ", argv[at]);
	else if (at + 1 < argc && argv[at + 1][0] != '-')
		refuse(why, "There is no command \"%s %.40s\". ", noun, argv[at + 1]);
	list_commands(commands, noun, why);
	return -EINVAL;
}

/*
 * Read one option at argv[*at], and its value where it takes one; *at is left on the last word that
 * was used.
 */
static int parse_option(const struct command *command, int argc, char **argv, int *at,
			struct arguments *arguments, char why[ARGUMENTS_WHY_SIZE])
{
	unsigned allowed = OPTIONS_COMMON | OPTION_VERSION;
	const struct option_rule *option = find_option(argv[*at]);
	const char *value = strchr(argv[*at], '=');

	if (command)
		allowed = OPTIONS_COMMON | command->required | command->optional;
	if (!option || !(allowed & option->flag))
		return refuse(why, "There is no option \"%.40s\"%s%s.", argv[*at],
			      command ? " for sluice " : " here", command ? command->name : "");
	if (arguments->given & option->flag)
		return refuse(why, "%s is given twice.", option->name);
	arguments->given |= option->flag;

	if (value && !option->value)
		return refuse(why, "%s takes no value.", option->name);
	if (!value && option->value && ++*at >= argc)
		return refuse(why, "%s needs a value: %s %s.", option->name, option->name,
			      option->value);
	return store(option, value ? value + 1 : argv[*at], arguments, why);
}

/*
 * The command that the words from argv[at] on name. Returns the number of words, 0 where they name
 * none.
 */
static int match_command(const struct command *commands, int argc, char **argv, int at,
			 const struct command **ret_command)
{
	for (; commands->name; commands++) {
		const char *second = strchr(commands->name, ' ');
		size_t first = second ? (size_t)(second - commands->name) : strlen(commands->name);

		if (strlen(argv[at]) != first || strncmp(argv[at], commands->name, first))
			continue;
		if (second && (at + 1 >= argc || strcmp(argv[at + 1], second + 1)))
			continue;
		*ret_command = commands;
		return second ? 2 : 1;
	}
	return 0;
}

static int check_complete(const struct command *command, const struct arguments *arguments,
			  char why[ARGUMENTS_WHY_SIZE])
{
	unsigned missing = command->required & ~arguments->given;

	if (command->takes && !arguments->id)
		return refuse(why, "sluice %s needs %s.", command->name, command->needs);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (missing & options[i].flag)
			return refuse(why, "sluice %s needs %s %s.", command->name, options[i].name,
				      options[i].value);
	}
	if (command->changes && !(command->optional & arguments->given))
		return refuse(why, "Say what to change: --label L, --per-minute N or --per-day N.");
	return 0;
}

/* Read what follows the command's name. */
static int parse_rest(const struct command *command, int argc, char **argv, int at,
		      struct arguments *arguments, char why[ARGUMENTS_WHY_SIZE])
{
	bool options_end = false;
	int error;

	for (; at < argc; at++) {
		if (!options_end && !strcmp(argv[at], "--")) {
			options_end = true;
		} else if (!options_end && argv[at][0] == '-' && argv[at][1]) {
			error = parse_option(command, argc, argv, &at, arguments, why);
			if (error)
				return error;
		} else if (command->takes && !arguments->id && argv[at][0]) {
			arguments->id = argv[at];
		} else {
			return refuse(why, "sluice %s takes no further word: \"%.40s\".",
				      command->name, argv[at]);
		}
	}
	return arguments->help ? 0 : check_complete(command, arguments, why);
}

static bool asks_for_help(int argc, char **argv)
{
	for (int at = 1; at < argc; at++) {
		if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h"))
			return true;
	}
	return false;
}

int arguments_parse(const struct command *commands, int argc, char **argv,
		    const struct command **ret_command, struct arguments *ret_arguments,
		    char why[ARGUMENTS_WHY_SIZE])
{
	int at, words, error;

	*ret_command = NULL;
	*ret_arguments = (struct arguments){ .socket = CONFIG_SOCKET };
	for (at = 1; at < argc && argv[at][0] == '-'; at++) {
		const struct option_rule *option = find_option(argv[at]);

		/* An option of the default command says that it is meant. */
		if (option && option->flag & (commands->required | commands->optional))
			break;
		error = parse_option(NULL, argc, argv, &at, ret_arguments, why);
		if (error)
			return error;
	}
	/* "help" is "--help", ahead of the command's name. */
	if (at < argc && !strcmp(argv[at], "help")) {
		ret_arguments->help = true;
		at++;
	}
	if (at == argc && (ret_arguments->help || ret_arguments->version))
		return 0;

	if (at == argc || argv[at][0] == '-') {
		*ret_command = commands;
		words = 0;
	} else {
		words = match_command(commands, argc, argv, at, ret_command);
	}
	if (!*ret_command && (ret_arguments->help || asks_for_help(argc, argv))) {
		ret_arguments->group = find_group(commands, argv[at]);
		return 0;
	}
	if (!*ret_command)
		return refuse_command(commands, argc, argv, at, why);
	return parse_rest(*ret_command, argc, argv, at + words, ret_arguments, why);
}

void arguments_usage(const struct command *command, FILE *to)
{
	fprintf(to, "Usage: sluice %s%s%s", command->name, command->takes ? " " : "",
		command->takes ? command->takes : "");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_rule *option = &options[i];

		if (command->required & option->flag)
			fprintf(to, " %s %s", option->name, option->value);
		else if (command->optional & option->flag)
			fprintf(to, " [%s%s%s]", option->name, option->value ? " " : "",
				option->value ? option->value : "");
	}
	fputs(" [--json] [--socket PATH]\n", to);
}

void arguments_help(const struct command *command, FILE *to)
{
	unsigned taken = OPTIONS_COMMON | command->required | command->optional;

	arguments_usage(command, to);
	fprintf(to, "\n%s\n\n", command->help);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_rule *option = &options[i];
		char name[32];

		if (!(taken & option->flag))
			continue;
		snprintf(name, sizeof(name), "%s %s", option->name,
			 option->value ? option->value : "");
		fprintf(to, "  %-16s %s\n", name, option->help);
	}
	fprintf(to, "\nExample:\n%s", command->example);
}
