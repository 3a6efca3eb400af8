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
#include "shed.h"

#define API_BODY_MAX (64 * 1024) /* bytes of a request's body */

/* What the API can have the daemon do. Each returns 0, or a negative errno with ret_failure set. */
struct service_verbs {
	/* Read the configuration again; ret_changes as of reload_run(). */
	int (*reload)(void *data, char **ret_changes, struct failure *ret_failure);
	/* Begin to take a port out of the gate. */
	int (*remove_gate)(void *data, uint16_t port, uint32_t seconds,
			   struct failure *ret_failure);
};

/* What the API speaks for. All of it must outlive the calls. */
struct service {
	const struct config *config;
	struct kernel *kernel;
	struct registry *registry;
	uint64_t started_ms; /* CLOCK_REALTIME */
	const struct service_verbs *verbs;
	void *verbs_data;
	struct shed *shed;
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

/* Do what a request asks. ret_response is released with api_free_body(ret_response->body). */
void api_handle(const struct service *service, const struct api_request *request,
		struct api_response *ret_response);

/* The answer to a connection that is not served: 503 with this message. Released as above. */
void api_refuse(const char *message, struct api_response *ret_response);

/* Wipe and free an answer's body, which may hold a new key. NULL is allowed. */
void api_free_body(void *body);

#endif
