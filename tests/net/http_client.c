// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A small blocking HTTP client that shows what is on the wire. */
#include "http_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"

#define OPEN_CLIENTS 256

unsigned int client_patience_ms = CLIENT_PATIENCE_MS;

static struct client clients[OPEN_CLIENTS];
static size_t client_count;

static void set_patience(int fd)
{
	struct timeval patience = { .tv_sec = client_patience_ms / 1000,
				    .tv_usec = client_patience_ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static int connect_to(struct client *client, const struct sockaddr *address, socklen_t length)
{
	int yes = 1, error;

	*client =
		(struct client){ .fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if (client->fd < 0)
		return -errno;
	set_patience(client->fd);
	if (address->sa_family == AF_INET)
		setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (!connect(client->fd, address, length))
		return 0;
	error = -errno;
	close(client->fd);
	client->fd = -1;
	return error;
}

int client_connect(struct client *client, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return connect_to(client, (struct sockaddr *)&address, sizeof(address));
}

int client_connect_unix(struct client *client, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	return connect_to(client, (struct sockaddr *)&address, sizeof(address));
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->buffer);
	*client = (struct client){ .fd = -1 };
}

void client_abort(struct client *client)
{
	struct linger at_once = { .l_onoff = 1 };

	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	client_close(client);
}

struct client *client_open(uint16_t port)
{
	struct client *client = &clients[client_count];
	int error;

	assert_true(client_count < OPEN_CLIENTS);
	error = client_connect(client, port);
	if (error)
		fail_msg("connecting to port %u: %s", port, strerror(-error));
	client_count++;
	return client;
}

struct client *client_adopt(int fd)
{
	struct client *client = &clients[client_count];

	assert_true(fd >= 0);
	assert_true(client_count < OPEN_CLIENTS);
	*client = (struct client){ .fd = fd };
	set_patience(fd);
	client_count++;
	return client;
}

void close_all_clients(void)
{
	while (client_count)
		client_close(&clients[--client_count]);
}

int client_send(struct client *client, const void *data, size_t size)
{
	const char *next = data;

	while (size) {
		ssize_t sent = send(client->fd, next, size, MSG_NOSIGNAL);

		if (sent < 0)
			return -errno;
		next += sent;
		size -= sent;
	}
	return 0;
}

void client_printf(struct client *client, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	int length, error;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	assert_true(length >= 0);
	error = client_send(client, text, length);
	free(text);
	if (error)
		fail_msg("sending: %s", strerror(-error));
}

void client_request(struct client *client, const char *key)
{
	client_printf(client, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", key);
}

/* Receive more bytes. Returns their number, 0 at the end, or a negative errno. */
static ssize_t receive(struct client *client)
{
	ssize_t got;

	if (client->size - client->used < 4096) {
		size_t size = client->size * 2 + 16384;
		char *buffer = realloc(client->buffer, size);

		if (!buffer)
			return -ENOMEM;
		client->buffer = buffer;
		client->size = size;
	}
	got = recv(client->fd, client->buffer + client->used, client->size - client->used - 1, 0);
	if (got < 0)
		return -errno;
	client->used += got;
	client->buffer[client->used] = '\0';
	return got;
}

/* Receive until size bytes are there. */
static int receive_to(struct client *client, size_t size)
{
	while (client->used < size) {
		ssize_t got = receive(client);

		if (got <= 0)
			return got ? got : -EPROTO;
	}
	return 0;
}

/* Length of the head at the buffer's start, once it is whole. */
static ssize_t receive_head(struct client *client)
{
	for (;;) {
		char *end =
			client->used ? memmem(client->buffer, client->used, "\r\n\r\n", 4) : NULL;
		ssize_t got;

		if (end)
			return end + 4 - client->buffer;
		got = receive(client);
		if (got < 0)
			return got;
		if (!got)
			return client->used ? -EPROTO : -ENODATA;
	}
}

/*
 * Receive a chunked body that begins at offset and join its chunks. ret_end is where the body
 * ends in what was received; the joined body is shorter.
 */
static int receive_chunks(struct client *client, size_t offset, size_t *ret_length, size_t *ret_end)
{
	size_t at = offset, length = 0;

	for (;;) {
		char *line_end;
		size_t size;
		int error;

		while (!(line_end = memmem(client->buffer + at, client->used - at, "\r\n", 2)))
			if (receive(client) <= 0)
				return -EPROTO;
		size = strtoul(client->buffer + at, NULL, 16);
		at = line_end + 2 - client->buffer;
		error = receive_to(client, at + size + 2);
		if (error)
			return error;
		memmove(client->buffer + offset + length, client->buffer + at, size);
		at += size + 2;
		length += size;
		if (!size)
			break;
	}
	*ret_length = length;
	*ret_end = at;
	return 0;
}

static int receive_body(struct client *client, bool no_body, struct response *response)
{
	size_t length = 0, end = response->head_length;
	char value[HEADER_SIZE];
	int error = 0;

	if (no_body || response->status < 200 || response->status == 204 ||
	    response->status == 304) {
	} else if (header_count(response, "Content-Length") == 1) {
		length = header_number(response, "Content-Length");
		end += length;
		error = receive_to(client, end);
	} else if (!strcasecmp(header_value(response, "Transfer-Encoding", value), "chunked")) {
		error = receive_chunks(client, response->head_length, &length, &end);
	} else {
		ssize_t got;

		while ((got = receive(client)) > 0)
			;
		error = got;
		end = client->used;
		length = end - response->head_length;
	}
	client->consumed = end;
	response->head = client->buffer;
	response->body = client->buffer + response->head_length;
	response->body_length = length;
	return error;
}

int client_read(struct client *client, bool no_body, struct response *ret_response)
{
	struct response response = { 0 };
	ssize_t head_length;
	int end = 0, error;

	client->used -= client->consumed;
	if (client->used)
		memmove(client->buffer, client->buffer + client->consumed, client->used);
	client->consumed = 0;
	head_length = receive_head(client);
	if (head_length < 0)
		return head_length;
	response.head = client->buffer;
	response.head_length = head_length;
	if (sscanf(client->buffer, "HTTP/1.%*1[01] %3d %n", &response.status, &end) != 1 || !end)
		return -EPROTO;
	error = receive_body(client, no_body, &response);
	if (!error)
		*ret_response = response;
	return error;
}

int client_ask(struct client *client, const char *method, const char *target, const char *key,
	       const char *lines, struct response *ret_response)
{
	char text[4096];
	int length, error;

	length = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: api.test\r\n%s%s%s%s\r\n",
			  method, target, key ? "Authorization: Bearer " : "", key ? key : "",
			  key ? "\r\n" : "", lines);
	*ret_response = (struct response){ .head = "", .body = "" };
	if (length >= (int)sizeof(text))
		return -EMSGSIZE;
	error = client_send(client, text, length);
	if (!error)
		error = client_read(client, !strcmp(method, "HEAD"), ret_response);
	if (error)
		ret_response->status = error;
	return ret_response->status;
}

int client_get(struct client *client, const char *target, const char *key)
{
	struct response response;

	return client_ask(client, "GET", target, key, "", &response);
}

bool client_sees_end(struct client *client, unsigned int ms)
{
	struct pollfd readable = { .fd = client->fd, .events = POLLIN };
	char byte;

	if (client->used > client->consumed || poll(&readable, 1, ms) != 1)
		return false;
	return recv(client->fd, &byte, 1, 0) == 0;
}

bool client_sees_silence(struct client *client, unsigned int ms)
{
	struct pollfd readable = { .fd = client->fd, .events = POLLIN };

	return client->used == client->consumed && poll(&readable, 1, ms) == 0;
}
