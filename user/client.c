/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

struct text {
	char *bytes; /* NUL-terminated, though it may hold NULs */
	size_t length;
};

/* Returns a connected socket, -EACCES or -ENOTCONN. */
static int reach(const char *path, char *why, size_t why_size)
{
	const struct timeval wait = { .tv_sec = CLIENT_WAIT_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return say_why(-ENOTCONN, why, why_size, "a socket's path has at most %zu bytes",
			       sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return say_why(-ENOTCONN, why, why_size, "%s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		error = errno == EACCES ? -EACCES : -ENOTCONN;
		say_why(error, why, why_size, "%s", strerror(errno));
		close(fd);
		return error;
	}
	return fd;
}

static int send_all(int fd, const char *bytes, size_t length, char *why, size_t why_size)
{
	while (length) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		/* Whoever closes early may have said why: the answer is read all the same. */
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (sent < 0 && errno == EAGAIN)
			return say_why(-ETIMEDOUT, why, why_size,
				       "it did not take the request within %d s",
				       CLIENT_WAIT_SECONDS);
		if (sent < 0)
			return say_why(-EPROTO, why, why_size, "%s", strerror(errno));
		bytes += sent;
		length -= sent;
	}
	return 0;
}

static int send_request(int fd, const char *method, const char *target, const json_t *body,
			char *why, size_t why_size)
{
	char *content = NULL, *request = NULL;
	int length, error;

	if (body)
		content = json_dumps(body, JSON_COMPACT);
	if (body && !content)
		return say_why(-ENOMEM, why, why_size, "out of memory");

	length = asprintf(&request,
			  "%s %s HTTP/1.1\r\n"
			  "Host: sluice\r\n"
			  "Accept: application/json\r\n"
			  "%s"
			  "Content-Length: %zu\r\n"
			  "Connection: close\r\n"
			  "\r\n%s",
			  method, target, body ? "Content-Type: application/json\r\n" : "",
			  content ? strlen(content) : 0, content ? content : "");
	if (length < 0) {
		request = NULL;
		error = say_why(-ENOMEM, why, why_size, "out of memory");
	} else {
		error = send_all(fd, request, length, why, why_size);
	}
	free(request);
	free(content);
	return error;
}

/* Make room for one more byte and the terminating NUL. */
static int grow(struct text *text, size_t *room)
{
	size_t larger = *room ? *room * 2 : 16384;
	char *bytes;

	if (text->length + 1 < *room)
		return 0;
	if (text->length > CLIENT_ANSWER_MAX)
		return -EMSGSIZE;
	bytes = realloc(text->bytes, larger);
	if (!bytes)
		return -ENOMEM;
	text->bytes = bytes;
	*room = larger;
	return 0;
}

/* ret_text->bytes is the caller's to free, on failure too. */
static int read_to_end(int fd, struct text *ret_text, char *why, size_t why_size)
{
	size_t room = 0;

	for (;;) {
		int error = grow(ret_text, &room);
		ssize_t got;

		if (error == -EMSGSIZE)
			return say_why(error, why, why_size,
				       "its answer has more than %d MiB; of keys, ask for those of "
				       "one account (--account)",
				       CLIENT_ANSWER_MAX >> 20);
		if (error)
			return say_why(error, why, why_size, "out of memory");
		got = read(fd, ret_text->bytes + ret_text->length, room - ret_text->length - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return say_why(-ETIMEDOUT, why, why_size, "it did not answer within %d s",
				       CLIENT_WAIT_SECONDS);
		if (got < 0)
			return say_why(-EPROTO, why, why_size, "%s", strerror(errno));
		if (got == 0)
			break;
		ret_text->length += got;
	}
	ret_text->bytes[ret_text->length] = '\0';
	if (!ret_text->length)
		return say_why(-EPROTO, why, why_size,
			       "it closed the connection without an answer");
	return 0;
}

/* True where the head names no length, or the length the body has. */
static int length_is_right(const char *head, size_t body_length)
{
	static const char name[] = "\r\nContent-Length:";
	const char *field = strcasestr(head, name);

	return !field || strtoull(field + strlen(name), NULL, 10) == body_length;
}

static int parse_answer(const struct text *text, struct client_answer *ret_answer, char *why,
			size_t why_size)
{
	char *end = strstr(text->bytes, "\r\n\r\n");
	json_error_t problem;
	const char *body;
	json_t *object;
	int status;

	if (!end || sscanf(text->bytes, "HTTP/1.%*1[01] %3d", &status) != 1 || status < 200)
		return say_why(-EPROTO, why, why_size, "its answer is not HTTP");
	*end = '\0';
	body = end + 4;
	if (!length_is_right(text->bytes, text->length - (body - text->bytes)))
		return say_why(-EPROTO, why, why_size, "its answer was cut short");

	object = json_loadb(body, text->length - (body - text->bytes), JSON_REJECT_DUPLICATES,
			    &problem);
	if (!json_is_object(object)) {
		json_decref(object);
		return say_why(-EPROTO, why, why_size, "its answer is not a JSON object");
	}
	ret_answer->status = status;
	ret_answer->body = object;
	return 0;
}

int client_request(const char *socket_path, const char *method, const char *target,
		   const json_t *body, struct client_answer *ret_answer, char *why, size_t why_size)
{
	struct text text = { 0 };
	int fd, error;

	fd = reach(socket_path, why, why_size);
	if (fd < 0)
		return fd;
	error = send_request(fd, method, target, body, why, why_size);
	if (!error)
		error = read_to_end(fd, &text, why, why_size);
	if (!error)
		error = parse_answer(&text, ret_answer, why, why_size);
	/* An answer may hold a key's text. */
	if (text.bytes)
		explicit_bzero(text.bytes, text.length);
	free(text.bytes);
	close(fd);
	return error;
}

char *client_escape(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	char *escaped = malloc(strlen(text) * 3 + 1);
	char *to = escaped;

	if (!escaped)
		return NULL;
	for (; *text; text++) {
		if (strchr(plain, *text))
			*to++ = *text;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*text);
	}
	*to = '\0';
	return escaped;
}
