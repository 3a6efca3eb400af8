/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the commands of `sluice` share. Each returns the process' exit status.
 */
#ifndef SLUICE_COMMAND_H
#define SLUICE_COMMAND_H

#include <jansson.h>
#include <stdint.h>

#include "arguments.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* or failed */
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
};

int cmd_status(const struct arguments *arguments);
int cmd_reload(const struct arguments *arguments);
int cmd_gate_ls(const struct arguments *arguments);
int cmd_gate_rm(const struct arguments *arguments);
int cmd_shed_ls(const struct arguments *arguments);
int cmd_shed_add(const struct arguments *arguments);
int cmd_shed_rm(const struct arguments *arguments);
int cmd_key_create(const struct arguments *arguments);
int cmd_key_ls(const struct arguments *arguments);
int cmd_key_show(const struct arguments *arguments);
int cmd_key_edit(const struct arguments *arguments);
int cmd_key_revoke(const struct arguments *arguments);

/*
 * Ask the daemon. What went wrong, a refusal included, is told the user: on stderr, or with --json
 * as JSON on stdout.
 *
 * body		reference taken, NULL where the call has none
 * ret_body	the answer; untouched unless EXIT_DONE is returned
 */
int command_call(const struct arguments *arguments, const char *method, const char *target,
		 json_t *body, json_t **ret_body);

/*
 * Tell what the client itself found, as the daemon's refusals are told: on stderr, or with --json as
 * JSON with that code on stdout. Returns EXIT_REFUSED.
 */
int command_refuse(const struct arguments *arguments, const char *code, const char *message);

/* Say on stderr that memory is short; returns EXIT_REFUSED. */
int command_out_of_memory(void);

/* Print value to stdout as --json does. */
void command_print_json(const json_t *value, size_t flags);

/* A member as text: what it says, "" where it is no string. */
const char *command_text(const json_t *object, const char *member);

/* Room for "2027-01-31 18:00:00 UTC". */
#define COMMAND_INSTANT_SIZE 24

/* An RFC 3339 instant for people, as above; absent where the member has none. */
const char *command_instant(const json_t *object, const char *member, const char *absent,
			    char into[COMMAND_INSTANT_SIZE]);

/* "source" of 1, "sources" of any other number. */
const char *command_plural(uint64_t number, const char *one, const char *more);

/* A member as a number, 0 where it is none. */
uint64_t command_number(const json_t *object, const char *member);

#endif
