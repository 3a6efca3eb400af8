/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The daemon's command line as given, before the file and the defaults have a say. */
#ifndef SLUICE_COMMAND_LINE_H
#define SLUICE_COMMAND_LINE_H

#include "config.h"

#define OPTIONS_MAX 32

/* Pointers into argv, NULL or 0 where an option was not given. */
struct command_line {
	enum config_action action;
	enum config_action second; /* another that was given; CONFIG_RUN: none */
	const char *file;
	const char *backup;
	const char *values[OPTIONS_MAX]; /* by index of the setting, setting_at() */
	uint32_t ports[CONFIG_PORTS_MAX];
	size_t port_count;
	uint32_t drain_seconds;
	bool drain_given;
};

/* Whether an action does nothing but say something: it goes before all others. */
bool is_telling(enum config_action action);

/*
 * Read it. Returns 0 or -EINVAL, with a sentence in why: also where options contradict each other, or the
 * action does not take one. Those that say where things are go with all actions.
 */
int command_line_read(int argc, char **argv, struct command_line *ret_line, char *why,
		      size_t why_size);

#endif
