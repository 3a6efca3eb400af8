/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The control API's routes: which call a request asks for, and what is wrong where it asks for none. */
#include <errno.h>
#include <string.h>

#include "api_calls.h"
#include "input.h"
#include "log.h"
#include "secret.h"
#include "setting.h"
#include "trace_id.h"
#include "util.h"

struct route {
	const char *method;
	const char *path; /* "{id}" at its end stands for one segment */
	api_handler *handler;
	bool takes_body;
	const char *parameter; /* the one query parameter, or NULL */
};

static const struct route routes[] = {
	{ "GET", "/v1/keys", api_list_keys, .parameter = "account" },
	{ "POST", "/v1/keys", api_create_key, .takes_body = true },
	{ "GET", "/v1/keys/{id}", .handler = api_get_key },
	{ "PATCH", "/v1/keys/{id}", api_edit_key, .takes_body = true },
	{ "DELETE", "/v1/keys/{id}", .handler = api_revoke_key },
	{ "GET", "/v1/gates", .handler = api_list_gates },
	{ "DELETE", "/v1/gates/{id}", .handler = api_remove_gate, .parameter = "drain" },
	{ "GET", "/v1/shed", .handler = api_list_shed },
	{ "POST", "/v1/shed", api_add_shed, .takes_body = true },
	{ "DELETE", "/v1/shed/{id}", .handler = api_remove_shed },
	{ "POST", "/v1/reload", .handler = api_reload },
	{ "GET", "/v1/status", .handler = api_status },
	{ "GET", "/metrics", .handler = api_metrics },
};

void api_free_body(void *body)
{
	secret_free(body);
}

int api_respond_json(struct api_response *ret_response, int status, json_t *json,
		     struct failure *ret_failure)
{
	char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (!body)
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The daemon is out of memory; try again later.");
	ret_response->status = status;
	ret_response->content_type = "application/json";
	ret_response->body = body;
	ret_response->body_length = strlen(body);
	return 0;
}

/* Answer with an error, in the shape that the gate's own answers have. */
static void respond_failure(struct api_response *ret_response, struct failure *failure)
{
	char trace_id[TRACE_ID_TEXT_SIZE];
	struct failure unused;
	json_t *text = json_string(failure->message);

	/* A message that quotes the caller may be cut, or may never have been, UTF-8. */
	for (char *c = failure->message; !text && *c; c++)
		if (*c & 0x80)
			*c = '?';
	if (!text)
		text = json_string(failure->message);
	trace_id_make(trace_id);
	ret_response->status = failure->status;
	api_respond_json(ret_response, failure->status,
			 json_pack("{s:O, s:o, s:s, s:s}", "error", text, "message", text, "code",
				   failure->code, "traceId", trace_id),
			 &unused);
}

/* True where path is the route's; its {id}, if it has one, goes into ret_id. */
static bool route_has_path(const struct route *route, const char *path, char *ret_id,
			   size_t id_size)
{
	size_t fixed = strcspn(route->path, "{");
	size_t length;

	if (!route->path[fixed])
		return !strcmp(route->path, path);
	if (strncmp(route->path, path, fixed))
		return false;
	length = strlen(path + fixed);
	if (!length || length >= id_size || strchr(path + fixed, '/'))
		return false;
	memcpy(ret_id, path + fixed, length + 1);
	return true;
}

/* A HEAD request is a GET whose answer's body the transport leaves out. */
static bool route_has_method(const struct route *route, const char *method)
{
	return !strcmp(route->method, strcmp(method, "HEAD") ? method : "GET");
}

/* What to say where no route fits: 405 with the methods that would, or 404. */
static int refuse_route(struct api_call *call, const char *path, struct api_response *ret_response,
			struct failure *ret_failure)
{
	char *allow = ret_response->allow;
	char id[sizeof(call->id)];
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (route_has_path(&routes[i], path, id, sizeof(id))) {
			call->path = routes[i].path;
			used += snprintf(allow + used, sizeof(ret_response->allow) - used, "%s%s%s",
					 used ? ", " : "", routes[i].method,
					 strcmp(routes[i].method, "GET") ? "" : ", HEAD");
		}
	if (!used)
		return failure_set(ret_failure, FAILURE_NOT_FOUND, "There is nothing at %.128s.",
				   path);
	ret_failure->status = 405;
	ret_failure->code = "METHOD_NOT_ALLOWED";
	snprintf(ret_failure->message, sizeof(ret_failure->message),
		 "%.32s is not possible here; allowed are %s.", call->request->method, allow);
	return -EPERM;
}

/* Find the route of a request and take its path apart; NULL with ret_failure set where none fits. */
static const struct route *find_route(struct api_call *call, const char *path,
				      struct api_response *ret_response,
				      struct failure *ret_failure)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (route_has_method(&routes[i], call->request->method) &&
		    route_has_path(&routes[i], path, call->id, sizeof(call->id))) {
			call->path = routes[i].path;
			return &routes[i];
		}
	refuse_route(call, path, ret_response, ret_failure);
	return NULL;
}

/* Read the body, or see that there is none where the call takes none. */
static int read_body(const struct route *route, const struct api_request *request,
		     json_t **ret_body, struct failure *ret_failure)
{
	if (!route->takes_body && request->body_length)
		return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT, "%s takes no body.",
				   request->method);
	if (!route->takes_body)
		return 0;
	if (request->body_length > API_BODY_MAX)
		return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT,
				   "The body is too large; %d bytes are allowed.", API_BODY_MAX);
	return input_parse_body(request->body, request->body_length, ret_body, ret_failure);
}

static int dispatch(struct api_call *call, struct api_response *ret_response,
		    struct failure *ret_failure)
{
	_cleanup_free_ char *path = strdup(call->request->target);
	const struct route *route;
	json_t *body = NULL;
	char *query;
	int r;

	if (!path)
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The daemon is out of memory; try again later.");
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	route = find_route(call, path, ret_response, ret_failure);
	if (!route)
		return -EINVAL;
	r = input_read_query(query, route->parameter, call->parameter, sizeof(call->parameter),
			     ret_failure);
	if (!r)
		r = read_body(route, call->request, &body, ret_failure);
	call->body = body;
	if (!r)
		r = route->handler(call, ret_response, ret_failure);
	json_decref(body);
	return r;
}

static bool is_change(const char *method)
{
	return !strcmp(method, "POST") || !strcmp(method, "PATCH") || !strcmp(method, "DELETE");
}

/*
 * Who was refused which change. Nothing that the caller wrote is in it but what looks like an id or a
 * port: who mistakes a key for its id must not find it in the log.
 */
static void log_refusal(const struct api_call *call, const struct failure *failure)
{
	const char *path = call->path ? call->path : "";
	uint32_t port;
	bool plain = key_id_check(call->id) || !setting_read_number(call->id, 1, 65535, &port);
	int length = plain ? strcspn(path, "{") : strlen(path);

	log_notice("uid %u, pid %d was refused %s%s%.*s%s: %s", (unsigned)call->request->uid,
		   (int)call->request->pid, call->request->method, *path ? " " : "", length, path,
		   plain ? call->id : "", failure->code);
}

void api_handle(const struct service *service, const struct api_request *request,
		struct api_response *ret_response)
{
	struct api_call call = { .service = service, .request = request };
	struct failure failure;

	*ret_response = (struct api_response){ 0 };
	if (!dispatch(&call, ret_response, &failure))
		return;
	if (is_change(request->method))
		log_refusal(&call, &failure);
	respond_failure(ret_response, &failure);
}

void api_refuse(const char *message, struct api_response *ret_response)
{
	struct failure failure;

	*ret_response = (struct api_response){ 0 };
	failure_set(&failure, FAILURE_UNAVAILABLE, "%s", message);
	respond_failure(ret_response, &failure);
}
