// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A classical server: one thread for each connection, blocking reads, any error ends it.
 *
 *	app_threaded PORT FOLDER [--poll | --listener FD]
 *
 * --poll waits in poll(2) with an idle timeout before each read, as servers with idle timeouts do.
 * --listener takes a socket that was handed down, as socket activation does, for the port.
 * FOLDER gets access.log (a line for each request), received.log (every byte received), error.log
 * (a line for each read or write that failed) and upload/ (bodies of PUT).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"

#define HEAD_SIZE	32768
#define IDLE_TIMEOUT_MS 600000
#define LARGE_SIZE	(1024 * 1024)
#define MEDIUM_SIZE	20480

static bool with_poll;
static int access_log, received_log, error_log;

static void append(int log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One write, so that lines of several threads don't mix. */
static void append(int log, const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(line))
		length = sizeof(line) - 1;
	if (write(log, line, length) != length)
		abort();
}

struct request {
	char head[HEAD_SIZE + 1];
	size_t head_length;
	size_t used; /* bytes in head, of the body and of what is behind it among them */
	char method[16];
	char target[512];
	bool http10;
	bool keep_alive;
	size_t body_length;
	size_t body_in_head; /* bytes of it behind the head */
};

/* Read some bytes. False at the end of the connection. */
static bool receive(int fd, char *buffer, size_t size, size_t *ret_got)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	ssize_t got;

	if (with_poll && poll(&readable, 1, IDLE_TIMEOUT_MS) != 1)
		return false;
	got = recv(fd, buffer, size, 0);
	if (got < 0 && errno != ECONNRESET)
		append(error_log, "recv: %s\n", strerror(errno));
	if (got <= 0)
		return false;
	if (write(received_log, buffer, got) != got)
		abort();
	*ret_got = got;
	return true;
}

/* The value of a header, "" where it is not there. */
static const char *header(const struct request *request, const char *name, char value[128])
{
	size_t length = strlen(name);
	const char *line = strstr(request->head, "\r\n");

	value[0] = '\0';
	for (; line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
		if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':')
			sscanf(line + 3 + length, " %127[^\r]", value);
	return value;
}

static bool read_head(int fd, struct request *request)
{
	char version[16], value[128];
	char *end;
	size_t got;

	request->head[request->used] = '\0';
	while (!(end = memmem(request->head, request->used, "\r\n\r\n", 4))) {
		if (request->used == HEAD_SIZE ||
		    !receive(fd, request->head + request->used, HEAD_SIZE - request->used, &got))
			return false;
		request->used += got;
		request->head[request->used] = '\0';
	}
	request->head_length = end + 4 - request->head;
	if (sscanf(request->head, "%15s %511s %15s", request->method, request->target, version) !=
	    3) {
		append(error_log, "not a request\n");
		return false;
	}
	request->http10 = !strcmp(version, "HTTP/1.0");
	header(request, "Connection", value);
	request->keep_alive = request->http10 ? !strcasecmp(value, "keep-alive")
					      : strcasecmp(value, "close") != 0;
	request->body_length = strtoul(header(request, "Content-Length", value), NULL, 10);
	return true;
}

/* Read the body; into upload/ where the method is PUT. What is behind it stays in head. */
static bool read_body(int fd, struct request *request)
{
	size_t got = request->used - request->head_length, done = 0;
	char buffer[16384];
	int file = -1;

	if (got > request->body_length)
		got = request->body_length;
	request->body_in_head = got;

	if (!strcmp(request->method, "PUT"))
		file = open(request->target + 1, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (got && file >= 0 && write(file, request->head + request->head_length, got) < 0)
		abort();
	for (done = got; done < request->body_length; done += got) {
		size_t left = request->body_length - done;

		if (!receive(fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer), &got))
			break;
		if (file >= 0 && write(file, buffer, got) < 0)
			abort();
	}
	if (file >= 0)
		close(file);
	return done == request->body_length;
}

static bool send_or_note(int fd, const char *data, size_t size)
{
	if (send_all(fd, data, size))
		return true;
	if (errno != EPIPE && errno != ECONNRESET)
		append(error_log, "send: %s\n", strerror(errno));
	return false;
}

static bool starts(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* The answer to a request: by its target. */
static int choose(const struct request *request, const char **ret_body, size_t *ret_length)
{
	static const char plain[] =
		"{\"data\":[{\"id\":\"model-one\",\"object\":\"model\"},"
		"{\"id\":\"model-two\",\"object\":\"model\"}],\"note\":\"........\"}";
	static const char empty[] = "{}";
	static char large[LARGE_SIZE];

	*ret_body = empty;
	*ret_length = sizeof(empty) - 1;
	if (starts(request->target, "/missing"))
		return 404;
	if (starts(request->target, "/broken"))
		return 500;
	if (!strcmp(request->method, "PUT"))
		return 201;
	*ret_body = plain;
	*ret_length = sizeof(plain) - 1;
	if (starts(request->target, "/echo")) {
		*ret_body = request->head;
		*ret_length = request->head_length;
	} else if (starts(request->target, "/large")) {
		*ret_body = large;
		*ret_length = sizeof(large);
	} else if (starts(request->target, "/medium")) {
		*ret_body = large;
		*ret_length = MEDIUM_SIZE;
	} else if (starts(request->target, "/none")) {
		*ret_length = 0;
	}
	return 200;
}

static bool answer(int fd, const struct request *request)
{
	const char *body, *reason;
	size_t length;
	char head[256];
	int status = choose(request, &body, &length);
	int head_length;

	reason = status == 404 ? "Not Found" : status == 500 ? "Internal Server Error" : "OK";
	head_length = snprintf(head, sizeof(head),
			       "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
			       "Content-Length: %zu\r\n%s\r\n",
			       status, reason, length,
			       !request->keep_alive ? "Connection: close\r\n"
			       : request->http10    ? "Connection: keep-alive\r\n"
						    : "");
	append(access_log, "%s %s %d\n", request->method, request->target, status);
	if (!send_or_note(fd, head, head_length))
		return false;
	return !strcmp(request->method, "HEAD") || send_or_note(fd, body, length);
}

/* Keep what came behind the request: the next one begins there. */
static void forget(struct request *request)
{
	size_t done = request->head_length + request->body_in_head;

	request->used -= done;
	memmove(request->head, request->head + done, request->used);
}

static void *serve(void *argument)
{
	struct request *request = calloc(1, sizeof(*request));
	int fd = (int)(long)argument;

	while (request && read_head(fd, request) && read_body(fd, request) && answer(fd, request) &&
	       request->keep_alive)
		forget(request);
	free(request);
	close(fd);
	return NULL;
}

/* On every address, of IPv4 and IPv6. */
static int listen_everywhere(int port)
{
	const struct sockaddr_in6 address = { .sin6_family = AF_INET6,
					      .sin6_port = htons(port),
					      .sin6_addr = IN6ADDR_ANY_INIT };

	return listen_at(&address, sizeof(address));
}

static int open_log(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0) {
		perror(name);
		exit(EXIT_FAILURE);
	}
	return fd;
}

int main(int argc, char **argv)
{
	int yes = 1, listener, fd;
	pthread_attr_t detached;
	pthread_t thread;

	if (argc < 3 || chdir(argv[2])) {
		fprintf(stderr, "usage: app_threaded PORT FOLDER [--poll | --listener FD]\n");
		return EXIT_FAILURE;
	}
	with_poll = argc > 3 && !strcmp(argv[3], "--poll");
	access_log = open_log("access.log");
	received_log = open_log("received.log");
	error_log = open_log("error.log");
	if (argc > 4 && !strcmp(argv[3], "--listener"))
		listener = atoi(argv[4]);
	else
		listener = listen_everywhere(atoi(argv[1]));
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		if (pthread_create(&thread, &detached, serve, (void *)(long)fd))
			close(fd);
	}
	perror("accept");
	return EXIT_FAILURE;
}
