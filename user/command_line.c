/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command_line.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "config_rows.h"
#include "setting.h"
#include "util.h"

/* Options that are not settings. */
enum option_value {
	OPTION_PORT = 1,
	OPTION_CONFIG,
	OPTION_REMOVE,
	OPTION_DRAIN,
	OPTION_BACKUP,
	OPTION_RESTORE,
	OPTION_RELAY,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_SETTING, /* + index into sluice_settings, then port_settings */
};

const struct option_row config_rows_before[] = {
	{ "port", "N", OPTION_PORT,
	  "protect this TCP port; may be given several times;\n"
	  "                         with it the [port N] sections of the file choose no ports" },
};
const size_t config_rows_before_count = ARRAY_SIZE(config_rows_before);

const struct option_row config_rows_after[] = {
	{ "config", "FILE", OPTION_CONFIG, "configuration (default: " CONFIG_FILE ", if there)" },
	{ "remove", NULL, OPTION_REMOVE, "take the gate down for good, and exit" },
	{ "drain", "SECONDS", OPTION_DRAIN,
	  "with --remove: how long requests may take to end, 0 to 3600 (default: 10)" },
	{ "backup", "DIR", OPTION_BACKUP, "copy store and pepper to a new folder, and exit" },
	{ "restore", "DIR", OPTION_RESTORE,
	  "put such a copy in their place, sluiced being stopped, and exit" },
	{ "relay", NULL, OPTION_RELAY, NULL /* the daemon's own use */ },
	{ "help", NULL, OPTION_HELP, "print this, and exit" },
	{ "version", NULL, OPTION_VERSION, "print the version, and exit" },
};
const size_t config_rows_after_count = ARRAY_SIZE(config_rows_after);

/* The option that asks for an action. */
static const char *const action_names[] = {
	[CONFIG_REMOVE] = "remove", [CONFIG_BACKUP] = "backup", [CONFIG_RESTORE] = "restore",
	[CONFIG_RELAY] = "relay",   [CONFIG_HELP] = "help",	[CONFIG_VERSION] = "version",
};

bool is_telling(enum config_action action)
{
	return action == CONFIG_HELP || action == CONFIG_VERSION;
}

static void set_action(struct command_line *line, enum config_action action)
{
	if (line->action == CONFIG_RUN || (is_telling(action) && !is_telling(line->action)))
		line->action = action;
	else
		line->second = action;
}

static void add_option(struct option *options, size_t *count, const char *name,
		       const char *argument, int value)
{
	options[(*count)++] = (struct option){
		.name = name,
		.has_arg = argument ? required_argument : no_argument,
		.val = value,
	};
}

/* The tables in the form getopt_long() wants, ended by zeros. */
static void make_options(struct option options[OPTIONS_MAX])
{
	size_t count = 0;

	memset(options, 0, OPTIONS_MAX * sizeof(*options));
	for (size_t i = 0; i < config_rows_before_count; i++)
		add_option(options, &count, config_rows_before[i].name,
			   config_rows_before[i].argument, config_rows_before[i].value);
	for (size_t i = 0; i < config_rows_after_count; i++)
		add_option(options, &count, config_rows_after[i].name,
			   config_rows_after[i].argument, config_rows_after[i].value);
	for (size_t i = 0; setting_at(i); i++)
		if (setting_at(i)->argument)
			add_option(options, &count, setting_at(i)->name, setting_at(i)->argument,
				   OPTION_SETTING + i);
}

static int take_port(struct command_line *line, const char *text, char *why, size_t why_size)
{
	if (line->port_count == CONFIG_PORTS_MAX) {
		snprintf(why, why_size, "Too many --port; %d are allowed.", CONFIG_PORTS_MAX);
		return -EINVAL;
	}
	if (setting_read_number(text, 1, 65535, &line->ports[line->port_count])) {
		snprintf(why, why_size, "--port must be a number from 1 to 65535, not '%s'.", text);
		return -EINVAL;
	}
	line->port_count++;
	return 0;
}

static int take_drain(struct command_line *line, const char *text, char *why, size_t why_size)
{
	line->drain_given = true;
	if (!setting_read_number(text, 0, CONFIG_DRAIN_MAX, &line->drain_seconds))
		return 0;
	snprintf(why, why_size, "--drain must be a number of seconds from 0 to %u, not '%s'.",
		 CONFIG_DRAIN_MAX, text);
	return -EINVAL;
}

static int take_backup(struct command_line *line, enum config_action action, const char *folder,
		       char *why, size_t why_size)
{
	if (!*folder || strlen(folder) >= CONFIG_PATH_SIZE) {
		snprintf(why, why_size, "--%s must be a path of 1 to %d bytes.",
			 action_names[action], CONFIG_PATH_SIZE - 1);
		return -EINVAL;
	}
	set_action(line, action);
	line->backup = folder;
	return 0;
}

/* What getopt_long() answered '?' to: optopt holds a known option's value or an unknown letter. */
static int refuse_option(char **argv, char *why, size_t why_size)
{
	const char *text = argv[optind - 1];

	if (optopt >= ' ')
		snprintf(why, why_size, "There is no option -%c; see --help.", optopt);
	else if (optopt)
		snprintf(why, why_size, "%s: the option takes no value.", text);
	else
		snprintf(why, why_size, "There is no option %s; see --help.", text);
	return -EINVAL;
}

static int take_option(struct command_line *line, int option, char **argv, char *why,
		       size_t why_size)
{
	switch (option) {
	case OPTION_PORT:
		return take_port(line, optarg, why, why_size);
	case OPTION_CONFIG:
		line->file = optarg;
		return 0;
	case OPTION_REMOVE:
		set_action(line, CONFIG_REMOVE);
		return 0;
	case OPTION_DRAIN:
		return take_drain(line, optarg, why, why_size);
	case OPTION_BACKUP:
		return take_backup(line, CONFIG_BACKUP, optarg, why, why_size);
	case OPTION_RESTORE:
		return take_backup(line, CONFIG_RESTORE, optarg, why, why_size);
	case OPTION_RELAY:
		set_action(line, CONFIG_RELAY);
		return 0;
	case OPTION_HELP:
		set_action(line, CONFIG_HELP);
		return 0;
	case OPTION_VERSION:
		set_action(line, CONFIG_VERSION);
		return 0;
	case ':':
		snprintf(why, why_size, "%s needs a value; see --help.", argv[optind - 1]);
		return -EINVAL;
	case '?':
		return refuse_option(argv, why, why_size);
	}
	line->values[option - OPTION_SETTING] = optarg;
	return 0;
}

/* An option that was given, and that the action does not take; NULL: there is none. */
static const char *find_misfit(const struct command_line *line)
{
	if (line->drain_given && line->action != CONFIG_REMOVE)
		return "drain";
	if (line->action == CONFIG_RUN)
		return NULL;
	for (size_t i = sluice_setting_count; setting_at(i); i++)
		if (line->values[i])
			return setting_at(i)->name;
	return line->port_count ? "port" : NULL;
}

static int check_action(const struct command_line *line, char *why, size_t why_size)
{
	const char *misfit;

	if (is_telling(line->action))
		return 0;
	if (line->second == line->action && line->second != CONFIG_RUN) {
		snprintf(why, why_size, "--%s can be given once.", action_names[line->action]);
		return -EINVAL;
	}
	misfit = line->second != CONFIG_RUN ? action_names[line->second] : find_misfit(line);
	if (!misfit)
		return 0;
	if (line->action == CONFIG_RUN)
		snprintf(why, why_size, "--%s goes with --remove alone.", misfit);
	else
		snprintf(why, why_size, "--%s and --%s cannot be given together.",
			 action_names[line->action], misfit);
	return -EINVAL;
}

int command_line_read(int argc, char **argv, struct command_line *ret_line, char *why,
		      size_t why_size)
{
	struct command_line line = { .action = CONFIG_RUN, .drain_seconds = CONFIG_DRAIN_DEFAULT };
	struct option options[OPTIONS_MAX];
	int option, r = 0;

	make_options(options);
	optind = 0; /* start afresh, whoever used getopt before */
	while (!r && (option = getopt_long(argc, argv, "+:", options, NULL)) != -1)
		r = take_option(&line, option, argv, why, why_size);
	if (!r && optind < argc) {
		snprintf(why, why_size, "'%s' is not an option; see --help.", argv[optind]);
		return -EINVAL;
	}
	if (!r)
		r = check_action(&line, why, why_size);
	if (!r)
		*ret_line = line;
	return r;
}
