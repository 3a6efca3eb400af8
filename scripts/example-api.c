/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The example application of `make run`: a small HTTP/1.1 API that knows nothing of keys or limits.
 *
 *	example-api PORT
 *
 *	GET /api/v1/models		all models
 *	GET /api/v1/models/{id}		one of them
 *	POST /api/v1/echo		the body, as it came; Content-Length only
 *
 * One thread, epoll, non-blocking; keep-alive and pipelining. All interfaces, IPv4.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 65536 /* bytes of head and body */
#define ANSWER_MAX  (REQUEST_MAX + 512)

struct connection {
	int fd;
	bool closing; /* once what is in out is sent */
	size_t in_length;
	size_t out_length;
	size_t out_sent;
	char in[REQUEST_MAX + 1];
	char out[ANSWER_MAX];
};

struct request {
	char *method;
	char *target;
	char *body;
	size_t body_length;
	size_t length; /* of all of it */
	bool keep_alive;
};

static const struct {
	const char *id;
	const char *json;
} models[] = {
	{ "small", "{\"id\":\"small\",\"name\":\"Small\",\"contextTokens\":8192}" },
	{ "medium", "{\"id\":\"medium\",\"name\":\"Medium\",\"contextTokens\":32768}" },
	{ "large", "{\"id\":\"large\",\"name\":\"Large\",\"contextTokens\":131072}" },
};

#define MODEL_COUNT (sizeof(models) / sizeof(*models))

/* Put an answer into out, which is empty. */
static void answer(struct connection *connection, const struct request *request, const char *status,
		   const char *type, const char *body, size_t body_length)
{
	bool head_only = request && !strcmp(request->method, "HEAD");
	int length;

	connection->closing = !request || !request->keep_alive;
	length =
		snprintf(connection->out, ANSWER_MAX,
			 "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
			 type, body_length, connection->closing ? "Connection: close\r\n" : "");
	if (!head_only) {
		memcpy(connection->out + length, body, body_length);
		length += body_length;
	}
	connection->out_length = length;
	connection->out_sent = 0;
}

static void answer_json(struct connection *connection, const struct request *request,
			const char *status, const char *json)
{
	answer(connection, request, status, "application/json", json, strlen(json));
}

static void list_models(struct connection *connection, const struct request *request)
{
	char json[1024];
	size_t length = snprintf(json, sizeof(json), "{\"models\":[");

	for (size_t i = 0; i < MODEL_COUNT; i++)
		length += snprintf(json + length, sizeof(json) - length, "%s%s", i ? "," : "",
				   models[i].json);
	snprintf(json + length, sizeof(json) - length, "]}");
	answer_json(connection, request, "200 OK", json);
}

static void show_model(struct connection *connection, const struct request *request, const char *id)
{
	for (size_t i = 0; i < MODEL_COUNT; i++) {
		if (!strcmp(models[i].id, id)) {
			answer_json(connection, request, "200 OK", models[i].json);
			return;
		}
	}
	answer_json(connection, request, "404 Not Found",
		    "{\"error\":\"There is no such model.\"}");
}

static void route(struct connection *connection, struct request *request)
{
	static const char list[] = "/api/v1/models", echo[] = "/api/v1/echo";
	bool reading = !strcmp(request->method, "GET") || !strcmp(request->method, "HEAD");

	request->target[strcspn(request->target, "?")] = '\0';
	if (reading && !strcmp(request->target, list))
		list_models(connection, request);
	else if (reading && !strncmp(request->target, list, strlen(list)) &&
		 request->target[strlen(list)] == '/')
		show_model(connection, request, request->target + strlen(list) + 1);
	else if (!strcmp(request->method, "POST") && !strcmp(request->target, echo))
		answer(connection, request, "200 OK", "application/octet-stream", request->body,
		       request->body_length);
	else
		answer_json(connection, request, "404 Not Found",
			    "{\"error\":\"There is nothing here.\"}");
}

/* A field's value up to the line's end in a NUL-terminated head, or NULL. */
static const char *field(const char *head, const char *name)
{
	size_t length = strlen(name);
	const char *line = head;

	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (!strncasecmp(line, name, length) && line[length] == ':') {
			line += length + 1;
			return line + strspn(line, " \t");
		}
	}
	return NULL;
}

/* Decimal digits up to the line's end. Returns 0 or -EINVAL. */
static int parse_length(const char *text, size_t *ret_length)
{
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 6 || (text[digits] != '\r' && text[digits] != '\0'))
		return -EINVAL;
	*ret_length = strtoul(text, NULL, 10);
	return 0;
}

/* Split "METHOD target HTTP/1.x" in place. Returns 0 or -EINVAL. */
static int parse_line(char *line, struct request *request, int *ret_minor)
{
	char *end = strstr(line, "\r\n"), *version;

	if (end)
		*end = '\0';
	request->method = line;
	request->target = strchr(line, ' ');
	if (!request->target)
		return -EINVAL;
	*request->target++ = '\0';
	version = strchr(request->target, ' ');
	if (!version || sscanf(version, " HTTP/1.%1d", ret_minor) != 1)
		return -EINVAL;
	*version = '\0';
	return 0;
}

/*
 * Read one request from what has come. Returns 1 where it is complete, 0 where more must come, or
 * -EINVAL. The head is cut up only once all is there.
 */
static int parse_request(struct connection *connection, struct request *ret_request)
{
	struct request request = { 0 };
	const char *length, *option;
	char *end;
	int minor;

	connection->in[connection->in_length] = '\0';
	end = strstr(connection->in, "\r\n\r\n");
	if (!end)
		return memchr(connection->in, '\0', connection->in_length) ? -EINVAL : 0;
	request.body = end + 4;
	*end = '\0';
	length = field(connection->in, "Content-Length");
	if (field(connection->in, "Transfer-Encoding") ||
	    (length && parse_length(length, &request.body_length)))
		return -EINVAL;
	request.length = request.body - connection->in + request.body_length;
	if (request.length > REQUEST_MAX)
		return -EINVAL;
	if (request.length > connection->in_length) {
		*end = '\r';
		return 0;
	}
	option = field(connection->in, "Connection");
	if (parse_line(connection->in, &request, &minor))
		return -EINVAL;
	request.keep_alive = minor >= 1 ? !option || strncasecmp(option, "close", 5)
					: option && !strncasecmp(option, "keep-alive", 10);
	*ret_request = request;
	return 1;
}

/* Answer the first request in in, if it is all there. */
static void serve(struct connection *connection)
{
	struct request request;
	int found = parse_request(connection, &request);

	if (found < 0) {
		answer_json(connection, NULL, "400 Bad Request",
			    "{\"error\":\"The request is not understood.\"}");
		connection->in_length = 0;
	} else if (found) {
		route(connection, &request);
		connection->in_length -= request.length;
		memmove(connection->in, connection->in + request.length, connection->in_length);
	}
}

/* Returns 1 where all is sent, 0 where the socket is full, or -1 where it is gone. */
static int send_out(struct connection *connection)
{
	while (connection->out_sent < connection->out_length) {
		ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
				    connection->out_length - connection->out_sent, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 0 : -1;
		connection->out_sent += sent;
	}
	connection->out_length = connection->out_sent = 0;
	return 1;
}

/* Returns 1 where something came, 0 where nothing is there, or -1 at the end. */
static int receive(struct connection *connection)
{
	size_t room = REQUEST_MAX - connection->in_length;
	ssize_t got;

	do
		got = recv(connection->fd, connection->in + connection->in_length, room, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -1;
	if (got == 0)
		return -1;
	connection->in_length += got;
	return 1;
}

/* Go on as far as the socket allows. Returns 0, or -1 where the connection is done. */
static int advance(struct connection *connection)
{
	for (;;) {
		int sent = send_out(connection), got;

		if (sent <= 0)
			return sent;
		if (connection->closing)
			return -1;
		serve(connection);
		if (connection->out_length)
			continue;
		got = receive(connection);
		if (got <= 0)
			return got;
	}
}

static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = calloc(1, sizeof(*connection));
		struct epoll_event event = {
			.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
			.data.ptr = connection,
		};

		if (connection)
			connection->fd = fd;
		if (!connection || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
			free(connection);
			close(fd);
		}
	}
}

static void close_connection(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

/* Returns the listening socket or -1. */
static int listen_on(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
	    !bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, SOMAXCONN))
		return fd;
	close(fd);
	return -1;
}

static int run(int epoll, int listener)
{
	struct epoll_event events[64];

	for (;;) {
		int count = epoll_wait(epoll, events, 64, -1);

		if (count < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;

			if (!connection)
				accept_all(epoll, listener);
			else if (advance(connection))
				close_connection(connection);
		}
	}
}

int main(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	int port = argc == 2 ? atoi(argv[1]) : 0;
	int epoll, listener;

	if (port < 1 || port > 65535) {
		fputs("Usage: example-api PORT\n", stderr);
		return 2;
	}
	listener = listen_on(port);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (listener < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event)) {
		fprintf(stderr, "example-api: port %d: %s\n", port, strerror(errno));
		return 1;
	}
	return run(epoll, listener);
}
