/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What api.c, the router, and the files with the calls behind it share. */
#ifndef SLUICE_API_CALLS_H
#define SLUICE_API_CALLS_H

#include <jansson.h>

#include "api.h"

/* A request that has been taken apart. */
struct api_call {
	const struct service *service;
	const struct api_request *request;
	const char *path;   /* of the route, as api.c has it; NULL where there is none */
	char id[64];	    /* {id} of the path, or empty */
	char parameter[64]; /* the query's, or empty */
	const json_t *body; /* an object, or NULL where the call takes none */
};

/* Each returns 0, or a negative errno with ret_failure set. */
typedef int api_handler(const struct api_call *call, struct api_response *ret_response,
			struct failure *ret_failure);

api_handler api_create_key, api_list_keys, api_get_key, api_edit_key, api_revoke_key;
api_handler api_list_gates, api_remove_gate, api_reload;
api_handler api_list_shed, api_add_shed, api_remove_shed;
api_handler api_status, api_metrics;

/* The gates of this network namespace as JSON, by port. */
int api_read_gates(struct kernel *kernel, json_t **ret_gates, struct failure *ret_failure);

/* Who guesses keys: the sources with most guesses, those first. */
#define API_GUESSES_TOP 10
struct api_guesses {
	struct source sources[API_GUESSES_TOP];
	struct guesses made[API_GUESSES_TOP];
	size_t count; /* of these */
	size_t all;   /* sources that there are */
};

/* As a member of /v1/status; max is how many sources are told apart. NULL: memory ran out. */
json_t *api_guesses_to_json(const struct api_guesses *guesses, uint32_t max);

/* How many sources are shed now. Returns 0 or a negative errno. */
int api_count_shed(const struct service *service, size_t *ret_count);

/* Answer with JSON, whose reference is taken; NULL stands for memory that ran out. */
int api_respond_json(struct api_response *ret_response, int status, json_t *json,
		     struct failure *ret_failure);

#endif
