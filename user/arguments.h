/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stands behind `sluice` on the command line. Commands and options are tables; parsing, checks
 * and help are made from them.
 */
#ifndef SLUICE_ARGUMENTS_H
#define SLUICE_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util.h"

/* What was given. NULL, 0 or false: not given. */
struct arguments {
	const char *socket;
	const char *id;	   /* the word behind the command's name */
	const char *group; /* the first word of the commands that help is asked of, "key" */
	const char *account;
	const char *label;
	const char *expires; /* RFC 3339, made from whatever form was given */
	uint32_t per_minute;
	uint32_t per_day;
	uint32_t drain; /* seconds */
	uint32_t seconds;
	bool json;
	bool watch;
	bool help;
	bool version;
	unsigned given;		    /* OPTION_… of all that were */
	char instant[RFC3339_SIZE]; /* what expires points to */
};

enum option_flag {
	OPTION_SOCKET = 1 << 0,
	OPTION_JSON = 1 << 1,
	OPTION_HELP = 1 << 2,
	OPTION_VERSION = 1 << 3,
	OPTION_ACCOUNT = 1 << 4,
	OPTION_LABEL = 1 << 5,
	OPTION_PER_MINUTE = 1 << 6,
	OPTION_PER_DAY = 1 << 7,
	OPTION_EXPIRES = 1 << 8,
	OPTION_WATCH = 1 << 9,
	OPTION_DRAIN = 1 << 10,
	OPTION_SECONDS = 1 << 11,
};

/* Options that every command takes. */
#define OPTIONS_COMMON (OPTION_SOCKET | OPTION_JSON | OPTION_HELP)

struct command {
	const char *name;			       /* one or two words: "key create" */
	int (*run)(const struct arguments *arguments); /* returns the exit status */
	const char *help;
	const char *takes; /* the word behind its name, "ID"; NULL: none */
	const char *needs; /* what that is, for whoever left it out */
	unsigned required; /* OPTION_… that must be given */
	unsigned optional; /* OPTION_… that may be; the common ones aside */
	bool changes;	   /* needs at least one of the optional ones */
	const char *example;
};

#define ARGUMENTS_WHY_SIZE 256

/*
 * Find the command that argv names and read its arguments. The first of commands is the default
 * where no command is named.
 *
 * commands	ends with an entry without a name
 * argv		as main() has it, argv[0] included
 * ret_command	the command; NULL where help or `--version` was asked of none, or of a group of
 *		them, or none was recognised
 * why		on failure, a sentence that says what is allowed
 *
 * Returns 0 or -EINVAL.
 */
int arguments_parse(const struct command *commands, int argc, char **argv,
		    const struct command **ret_command, struct arguments *ret_arguments,
		    char why[ARGUMENTS_WHY_SIZE]);

/* Whether the command's first of two words is noun. */
bool arguments_in_group(const struct command *command, const char *noun);

/* Usage line, description, options and example of one command. */
void arguments_help(const struct command *command, FILE *to);

/* The command's usage line alone. */
void arguments_usage(const struct command *command, FILE *to);

/*
 * Turn what `--expires` takes into an RFC 3339 instant in UTC: an RFC 3339 instant, a date (its
 * start in UTC) or a span from now, digits and one of d, h, m.
 *
 * now	milliseconds since the epoch
 * Returns 0; -EINVAL where text is none of these; -ERANGE: a span of more than a hundred years;
 * -ETIME: that instant has passed.
 */
int arguments_instant(const char *text, uint64_t now, char ret_instant[RFC3339_SIZE]);

#endif
