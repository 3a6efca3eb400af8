/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The control API without its transport: a request in, an answer out. No sockets here.
 */
#ifndef SLUICE_API_H
#define SLUICE_API_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "kernel.h"
#include "registry.h"

#define API_BODY_MAX (64 * 1024) /* bytes of a request's body */

/* What the API speaks for. All of it must outlive the calls. */
struct service {
	const struct config *config;
	struct kernel *kernel;
	struct registry *registry;
	uint64_t started_ms; /* CLOCK_REALTIME */
};

struct api_request {
	const char *method;
	const char *target; /* path and query as sent */
	const char *body;   /* body_length bytes; not read where that is over API_BODY_MAX */
	size_t body_length;
	uid_t uid; /* who asks */
	pid_t pid;
};

struct api_response {
	int status;
	const char *content_type;
	char allow[32]; /* methods, where the status is 405 */
	char *body;	/* NULL where memory was too short even for an error */
	size_t body_length;
};

/* Once, before anything else: from then on JSON is wiped when it is freed. */
void api_start(void);

/* Do what a request asks. ret_response is released with api_free_body(ret_response->body). */
void api_handle(const struct service *service, const struct api_request *request,
		struct api_response *ret_response);

/* Wipe and free an answer's body, which may hold a new key. NULL is allowed. */
void api_free_body(void *body);

#endif
