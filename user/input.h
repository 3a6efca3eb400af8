/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Strict reading of what a caller sends: nothing is guessed, nothing unknown is passed over, and
 * each refusal says what is expected. Functions return 0, or a negative errno with ret_failure set.
 */
#ifndef SLUICE_INPUT_H
#define SLUICE_INPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "registry.h"

enum input_type {
	INPUT_TEXT,    /* const char *, owned by the JSON */
	INPUT_NUMBER,  /* int64_t */
	INPUT_INSTANT, /* uint64_t, milliseconds since the epoch, from RFC 3339 */
};

/* A member that an object may have, and where its value goes. */
struct input_member {
	const char *name;
	enum input_type type;
	void *value;
	bool required;
	bool present; /* set by input_read_object() */
};

/* Parse a body that must be one JSON object. ret_object is the caller's reference. */
int input_parse_body(const char *body, size_t length, json_t **ret_object,
		     struct failure *ret_failure);

/* Read the members of an object. */
int input_read_object(const json_t *object, struct input_member *members, size_t count,
		      struct failure *ret_failure);

/*
 * Percent-decode length bytes of text (RFC 3986 2.1). '+' stands for itself. Returns false where an
 * escape is broken or stands for NUL, or the result has no room.
 */
bool input_decode(const char *text, size_t length, char *ret_value, size_t value_size);

/*
 * Read a query whose one allowed parameter is name (NULL: none is).
 *
 * query	what follows '?', or NULL
 * ret_value	the parameter's value, percent-decoded; empty where it is not there
 */
int input_read_query(const char *query, const char *name, char *ret_value, size_t value_size,
		     struct failure *ret_failure);

#endif
