/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The calls on gates: what is protected, a port that leaves, and the configuration read again. */
#include <errno.h>
#include <string.h>

#include "api_calls.h"
#include "log.h"
#include "setting.h"
#include "util.h"

/* Add a gate of our own network namespace to the array data, in the order of ports. */
static int add_gate(const struct gate_key *key, const struct gate *gate, bool own, void *data)
{
	json_t *gates = data;
	size_t at = 0;

	if (!own)
		return 0;
	while (at < json_array_size(gates) &&
	       json_integer_value(json_object_get(json_array_get(gates, at), "port")) < key->port)
		at++;
	if (json_array_insert_new(gates, at,
				  json_pack("{s:i, s:i, s:s, s:s, s:b}", "port", (int)key->port,
					    "headLimit", (int)gate->head_limit, "identity",
					    gate->keep_identity ? "keep" : "swap", "trailers",
					    gate->pass_trailers ? "pass" : "refuse", "draining",
					    (int)gate->draining)))
		return -ENOMEM;
	return 0;
}

int api_read_gates(struct kernel *kernel, json_t **ret_gates, struct failure *ret_failure)
{
	json_t *gates = json_array();
	int r = gates ? kernel_each_gate(kernel, add_gate, gates) : -ENOMEM;

	if (r) {
		json_decref(gates);
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The kernel side's gates cannot be read: %s.", strerror(-r));
	}
	*ret_gates = gates;
	return 0;
}

int api_list_gates(const struct api_call *call, struct api_response *ret_response,
		   struct failure *ret_failure)
{
	json_t *gates;
	int r = api_read_gates(call->service->kernel, &gates, ret_failure);

	return r ? r
		 : api_respond_json(ret_response, 200, json_pack("{s:o}", "gates", gates),
				    ret_failure);
}

int api_remove_gate(const struct api_call *call, struct api_response *ret_response,
		    struct failure *ret_failure)
{
	const struct service *service = call->service;
	uint32_t port, seconds = CONFIG_DRAIN_DEFAULT;
	int r;

	if (setting_read_number(call->id, 1, 65535, &port))
		return failure_set(ret_failure, FAILURE_NOT_FOUND,
				   "A port is a number from 1 to 65535.");
	if (*call->parameter && setting_read_number(call->parameter, 0, CONFIG_DRAIN_MAX, &seconds))
		return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT,
				   "drain must be a number of seconds from 0 to %d.",
				   CONFIG_DRAIN_MAX);
	r = service->verbs->remove_gate(service->verbs_data, port, seconds, ret_failure);
	if (r)
		return r;
	log_notice("uid %u, pid %d takes port %u out of the gate, within %u s",
		   (unsigned)call->request->uid, (int)call->request->pid, port, seconds);
	return api_respond_json(ret_response, 202,
				json_pack("{s:i, s:b, s:i}", "port", (int)port, "draining", 1,
					  "seconds", (int)seconds),
				ret_failure);
}

/* The lines of a text as an array. */
static json_t *lines_to_json(char *text)
{
	json_t *lines = json_array();
	char *line;

	while (lines && (line = strsep(&text, "\n")))
		if (*line)
			json_array_append_new(lines, json_string(line));
	return lines;
}

int api_reload(const struct api_call *call, struct api_response *ret_response,
	       struct failure *ret_failure)
{
	const struct service *service = call->service;
	_cleanup_free_ char *changes = NULL;
	struct failure unread;
	json_t *answer, *gates;
	int r;

	log_notice("uid %u, pid %d has the configuration read again", (unsigned)call->request->uid,
		   (int)call->request->pid);
	r = service->verbs->reload(service->verbs_data, &changes, ret_failure);
	if (r)
		return r;
	answer = json_pack("{s:o, s:s, s:i}", "changes", lines_to_json(changes), "keyWord",
			   service->config->key_word, "keysPerAccount",
			   (int)service->config->keys_per_account);
	/* What was asked for is done, whether or not there is more to tell. */
	if (!api_read_gates(service->kernel, &gates, &unread))
		json_object_set_new(answer, "gates", gates);
	else
		log_warning("The reload's answer is without the gates: %s", unread.message);
	return api_respond_json(ret_response, 200, answer, ret_failure);
}
