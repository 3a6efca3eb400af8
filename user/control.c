/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libmicrohttpd on the control socket, without threads: its epoll descriptor is a source of the
 * loop, its next timeout a timer.
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "control.h"
#include "control_callers.h"
#include "control_socket.h"
#include "util.h"

#define IDLE_SECONDS	10
#define CONNECTIONS_MAX 64
#define DISCARD_MAX	(1024 * 1024) /* bytes of a body that are read; more, and we hang up */

struct control {
	struct loop *loop;
	const struct service *service;
	struct MHD_Daemon *http;
	struct loop_source descriptor;
	struct loop_source timer;
	struct callers callers;
	char path[108];
};

/* A request on its way in. */
struct exchange {
	char *target;
	size_t length; /* of the body so far; what is behind API_BODY_MAX is not kept */
	bool begun;
	char body[API_BODY_MAX];
};

/* Called with the target as it was sent; what it returns comes back as *cls below. */
static void *begin_exchange(void *data, const char *target, struct MHD_Connection *connection)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	(void)data;
	(void)connection;
	if (!exchange)
		return NULL;
	exchange->target = strdup(target);
	return exchange;
}

static struct caller *caller_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void end_exchange(void *data, struct MHD_Connection *connection, void **cls,
			 enum MHD_RequestTerminationCode reason)
{
	struct caller *caller = caller_of(connection);
	struct exchange *exchange = *cls;

	(void)data;
	(void)reason;
	if (caller)
		caller_renew(caller);
	if (exchange)
		free(exchange->target);
	free(exchange);
	*cls = NULL;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *size)
{
	size_t kept = exchange->length < API_BODY_MAX ? API_BODY_MAX - exchange->length : 0;

	if (kept > *size)
		kept = *size;
	memcpy(exchange->body + exchange->length, bytes, kept);
	exchange->length += *size;
	*size = 0;
	return exchange->length <= DISCARD_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result send_response(struct MHD_Connection *connection,
				     struct api_response *response)
{
	struct MHD_Response *http = MHD_create_response_from_buffer_with_free_callback(
		response->body_length, response->body, api_free_body);
	enum MHD_Result r;

	if (!http) {
		api_free_body(response->body);
		return MHD_NO;
	}
	MHD_add_response_header(http, "Content-Type", response->content_type);
	MHD_add_response_header(http, "Cache-Control", "no-store");
	if (*response->allow)
		MHD_add_response_header(http, "Allow", response->allow);
	r = MHD_queue_response(connection, response->status, http);
	MHD_destroy_response(http);
	return r;
}

/* Say why, and end the connection, which libmicrohttpd then finds at its end. */
static void turn_away(int fd, int error)
{
	struct api_response response;
	char why[128], *text = NULL;
	int length;

	snprintf(why, sizeof(why),
		 "This user has %d connections to the control socket, as many as may be: end one.",
		 CALLER_CONNECTIONS_MAX);
	api_refuse(error == -EUSERS ? why : "The connection cannot be served.", &response);
	length = asprintf(&text,
			  "HTTP/1.1 %d Service Unavailable\r\nContent-Type: %s\r\n"
			  "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
			  response.status, response.content_type, response.body_length,
			  response.body ? response.body : "");
	if (length > 0)
		send(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_RDWR);
	if (length >= 0)
		free(text);
	api_free_body(response.body);
}

/* Called where a connection begins and where it ends. */
static void on_connection(void *data, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct control *control = data;
	struct caller *caller = NULL;
	int r;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context)
			callers_remove(*socket_context);
		*socket_context = NULL;
		return;
	}
	r = callers_add(&control->callers, info->connect_fd, &caller);
	if (r)
		turn_away(info->connect_fd, r);
	*socket_context = caller;
}

/* Called once for the head, for each part of the body, and once more at the end. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **cls)
{
	const struct control *control = data;
	const struct caller *caller = caller_of(connection);
	struct exchange *exchange = *cls;
	struct api_response response;
	struct api_request request;

	(void)url;
	(void)version;
	if (!caller || !exchange || !exchange->target)
		return MHD_NO;
	if (!exchange->begun) {
		exchange->begun = true;
		return MHD_YES;
	}
	if (*upload_size)
		return take_body(exchange, upload, upload_size);
	request = (struct api_request){
		.method = method,
		.target = exchange->target,
		.body = exchange->body,
		.body_length = exchange->length,
		.uid = caller->uid,
		.pid = caller->pid,
	};
	api_handle(control->service, &request, &response);
	return response.body ? send_response(connection, &response) : MHD_NO;
}

static bool is_full(const struct control *control)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(control->http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info && info->num_connections >= CONNECTIONS_MAX;
}

/*
 * Let libmicrohttpd do what is due, and come back when it next wants to. With all places taken it
 * stops listening, and begins again with the run after the one that frees a place: without that
 * run nothing would ever wake us.
 */
static void serve(void *data)
{
	struct control *control = data;
	MHD_UNSIGNED_LONG_LONG delay_ms = UINT64_MAX;
	uint64_t hang_up_ms;
	bool was_full;

	do {
		was_full = is_full(control);
		MHD_run(control->http);
		hang_up_ms = callers_hang_up(&control->callers);
	} while (was_full && !is_full(control));
	if (MHD_get_timeout(control->http, &delay_ms) != MHD_YES || delay_ms > hang_up_ms)
		delay_ms = hang_up_ms;
	if (delay_ms != UINT64_MAX)
		loop_set_timer(&control->timer, delay_ms, 0);
	else
		loop_stop_timer(&control->timer);
}

/* Hand the listening socket to libmicrohttpd, which closes it from then on. */
static int start_http(struct control *control, int fd)
{
	control->http = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, control,
					 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
					 CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
					 IDLE_SECONDS, MHD_OPTION_URI_LOG_CALLBACK, begin_exchange,
					 NULL, MHD_OPTION_NOTIFY_COMPLETED, end_exchange, NULL,
					 MHD_OPTION_NOTIFY_CONNECTION, on_connection, control,
					 MHD_OPTION_END);
	return control->http ? 0 : -ENOMEM;
}

static int join_loop(struct control *control)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(control->http, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (!info)
		return -ENOTSUP;
	r = loop_add_descriptor(control->loop, &control->descriptor, info->epoll_fd, serve,
				control);
	return r ? r : loop_add_timer(control->loop, &control->timer, serve, control);
}

int control_start(struct loop *loop, const struct service *service, const char *path,
		  struct control **ret_control, char *why, size_t why_size)
{
	struct control *control = calloc(1, sizeof(*control));
	int fd, r;

	if (!control) {
		snprintf(why, why_size, "There is not enough memory.");
		return -ENOMEM;
	}
	*control = (struct control){
		.loop = loop,
		.service = service,
		.descriptor = LOOP_SOURCE_NONE,
		.timer = LOOP_SOURCE_NONE,
	};
	r = control_socket_open(path, service->config->socket_group,
				service->config->socket_private ? 0600 : 0660, &fd, why, why_size);
	if (r) {
		free(control);
		return r;
	}
	strcpy(control->path, path); /* its length was checked with the socket's */
	r = start_http(control, fd);
	if (r)
		close(fd);
	else
		r = join_loop(control);
	if (r) {
		snprintf(why, why_size, "The control socket cannot be served: %s.", strerror(-r));
		control_stop(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	unlink(control->path);
	loop_remove(control->loop, &control->descriptor);
	loop_remove(control->loop, &control->timer);
	if (control->http)
		MHD_stop_daemon(control->http);
	free(control);
}
