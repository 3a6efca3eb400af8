// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A server that takes all it can get for a request, to show what slipped through the gate:
 *
 *	app_lenient PORT FOLDER length|chunked|bodyless
 *
 * Lines may end in a bare LF, fields may be folded, names may have '_' for '-' and spaces before the
 * colon, noise between requests is skipped. A body that is framed as RFC 9112 has it is read as such.
 * Any other framing, which the gate must refuse, is taken as the last argument says: Content-Length
 * decides, or Transfer-Encoding does, or there is no body at all. A bad chunk ends a body.
 *
 * What it does goes to executed.log, see tests/fuzz_gate/ledger.c; how it answers is in the target:
 * "/r/NUMBER/SIZE/HOW", see answer().
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"

#define HEAD_SIZE  65536
#define KEY_LENGTH 52 /* "gx_" and 49 letters and digits */
#define BODY_MAX   (4 * 1024 * 1024)

enum mode { BY_LENGTH, BY_CODING, BODYLESS };
static const char *const modes[] = { "length", "chunked", "bodyless" };
static enum mode mode;
static int executed_log;

struct connection {
	int fd;
	unsigned int port; /* the client's */
	bool ended;
	size_t at, used;
	char bytes[HEAD_SIZE];
};

struct request {
	char method[32], target[512];
	bool http10, keep_alive, expects, upgrades;
	bool chunked;
	size_t body_length;
	unsigned int lengths, codings; /* fields */
	bool odd;		       /* the framing is not one that RFC 9112 has */
	unsigned int identities;       /* X-Key-Id fields */
	char identity[64];
	bool secret; /* a key's text is in the head */
};

static void log_line(const char *format, unsigned int port, const char *first, const char *second)
{
	char line[640];
	int length = snprintf(line, sizeof(line), format, port, first, second);

	if (write(executed_log, line, length) != length)
		abort();
}

/* --- bytes in ----------------------------------------------------------------------------------- */

static bool fill(struct connection *connection)
{
	struct pollfd readable = { .fd = connection->fd, .events = POLLIN };
	ssize_t got;

	if (connection->at == connection->used)
		connection->at = connection->used = 0;
	if (connection->ended || connection->used == sizeof(connection->bytes))
		return false;
	do {
		poll(&readable, 1, -1);
		got = recv(connection->fd, connection->bytes + connection->used,
			   sizeof(connection->bytes) - connection->used, MSG_DONTWAIT);
	} while (got < 0 && errno == EAGAIN);
	connection->ended = got <= 0;
	connection->used += got > 0 ? got : 0;
	return got > 0;
}

/* A line without its end; NULL where there is none. Good until the next read. */
static char *read_line(struct connection *connection, size_t *ret_length)
{
	char *line, *end;

	while (!(end = memchr(connection->bytes + connection->at, '\n',
			      connection->used - connection->at))) {
		if (connection->at) {
			connection->used -= connection->at;
			memmove(connection->bytes, connection->bytes + connection->at,
				connection->used);
			connection->at = 0;
		}
		if (!fill(connection))
			return NULL;
	}
	line = connection->bytes + connection->at;
	connection->at = end + 1 - connection->bytes;
	while (end > line && end[-1] == '\r')
		end--;
	*end = '\0';
	*ret_length = end - line;
	return line;
}

static bool skip_bytes(struct connection *connection, size_t size)
{
	while (size) {
		size_t left = connection->used - connection->at;

		if (!left) {
			if (!fill(connection))
				return false;
			continue;
		}
		left = left < size ? left : size;
		connection->at += left;
		size -= left;
	}
	return true;
}

/* --- heads -------------------------------------------------------------------------------------- */

/* Two words or more: a method and a target, whatever they are made of. */
static bool is_request_line(char *line, struct request *request)
{
	static const char space[] = " \t\v\f\r";
	char *rest, *method = strtok_r(line, space, &rest);
	char *target = method ? strtok_r(NULL, space, &rest) : NULL;
	char *version = target ? strtok_r(NULL, space, &rest) : NULL;

	if (!target)
		return false;
	snprintf(request->method, sizeof(request->method), "%s", method);
	snprintf(request->target, sizeof(request->target), "%s", target);
	request->http10 = version && !strcmp(version, "HTTP/1.0");
	request->keep_alive = !request->http10;
	return true;
}

static bool holds_key(const char *line)
{
	for (; (line = strstr(line, "gx_")); line++)
		if (strspn(line + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789") == KEY_LENGTH - 3)
			return true;
	return false;
}

static void take_length(struct request *request, const char *value)
{
	size_t length = strtoul(value, NULL, 0);

	request->odd |= request->lengths || !*value || value[strspn(value, "0123456789")];
	if (!request->lengths++)
		request->body_length = length < BODY_MAX ? length : BODY_MAX;
}

static void take_coding(struct request *request, const char *value)
{
	request->odd |= request->codings || strcasecmp(value, "chunked") != 0 || request->http10;
	request->codings++;
}

static void take_field(struct request *request, char *line)
{
	char *value = strchr(line, ':'), *end;
	char name[64] = "";
	size_t length = 0;

	request->secret |= holds_key(line);
	if (!value)
		return;
	for (const char *from = line; from < value && length < sizeof(name) - 1; from++)
		if (!isspace((unsigned char)*from))
			name[length++] = *from == '_' ? '-' : tolower((unsigned char)*from);
	request->odd |= (!strcmp(name, "content-length") || !strcmp(name, "transfer-encoding")) &&
			(memchr(line, '_', value - line) || (size_t)(value - line) != length);
	value += 1 + strspn(value + 1, " \t");
	end = value + strlen(value);
	while (end > value && isspace((unsigned char)end[-1]))
		*--end = '\0';
	if (!strcmp(name, "content-length"))
		take_length(request, value);
	else if (!strcmp(name, "transfer-encoding"))
		take_coding(request, value);
	else if (!strcmp(name, "connection"))
		request->keep_alive = request->http10 ? !strcasecmp(value, "keep-alive")
						      : strcasecmp(value, "close") != 0;
	else if (!strcmp(name, "expect"))
		request->expects = !request->http10;
	else if (!strcmp(name, "upgrade"))
		request->upgrades = true;
	else if (!strcmp(name, "x-key-id") && !request->identities++)
		sscanf(value, "%63[^;, \t]", request->identity);
}

/* Where a field goes on in the next line, the two are one. */
static bool read_fields(struct connection *connection, struct request *request)
{
	char field[HEAD_SIZE] = "";
	size_t used = 0, length;
	char *line;

	while ((line = read_line(connection, &length))) {
		bool folded = *line == ' ' || *line == '\t';

		if (!folded && used)
			take_field(request, field);
		if (!length)
			return true;
		request->odd |= folded;
		if (!folded)
			used = 0;
		if (length >= sizeof(field) - used)
			length = sizeof(field) - used - 1;
		memcpy(field + used, line, length);
		used += length;
		field[used] = '\0';
	}
	return false;
}

static bool read_head(struct connection *connection, struct request *request)
{
	size_t length;
	char *line;

	do {
		*request = (struct request){ .identity = "-" };
		line = read_line(connection, &length);
		if (!line)
			return false;
		request->secret = holds_key(line);
	} while (!is_request_line(line, request));
	if (!read_fields(connection, request))
		return false;
	if (request->identities > 1)
		strcpy(request->identity, "several");
	log_line("R %u %s %s\n", connection->port, request->identity, request->target);
	if (request->secret)
		log_line("S %u\n", connection->port, "", "");
	request->odd |= request->lengths && request->codings;
	request->chunked =
		request->codings && !(request->odd && mode == BY_LENGTH && request->lengths);
	if (request->odd && mode == BODYLESS) {
		request->chunked = false;
		request->body_length = 0;
	}
	return true;
}

/* --- bodies and answers -------------------------------------------------------------------------- */

/* Take this byte where it comes next. */
static void skip_byte(struct connection *connection, char byte)
{
	if ((connection->at < connection->used || fill(connection)) &&
	    connection->bytes[connection->at] == byte)
		connection->at++;
}

/* Sizes as strtoul(3) reads them, line ends of either kind or none at all. */
static bool read_chunks(struct connection *connection)
{
	size_t size, length;
	char *line, *end;

	do {
		line = read_line(connection, &length);
		if (!line)
			return false;
		size = strtoul(line, &end, 16);
		if (end == line)
			return true;
		if (!skip_bytes(connection, size))
			return false;
		if (size) {
			skip_byte(connection, '\r');
			skip_byte(connection, '\n');
		}
	} while (size);
	while ((line = read_line(connection, &length)) && length)
		;
	return line;
}

static bool read_body(struct connection *connection, const struct request *request)
{
	if (request->chunked)
		return read_chunks(connection);
	return skip_bytes(connection, request->body_length);
}

/* In pieces of so many bytes, as chunks where asked. */
static bool send_pieces(int fd, const char *data, size_t size, size_t piece, bool chunked)
{
	char line[32];

	for (size_t at = 0; at < size; at += piece) {
		size_t length = size - at < piece ? size - at : piece;

		snprintf(line, sizeof(line), "%zx\r\n", length);
		if ((chunked && !send_text(fd, line)) || !send_all(fd, data + at, length) ||
		    (chunked && !send_text(fd, "\r\n")))
			return false;
	}
	return !chunked || send_text(fd, "0\r\n\r\n");
}

/*
 * NUMBER and ':' and letters, SIZE bytes in all. HOW: l one write; p head and pieces; b byte by byte;
 * c chunked; u until the connection closes; i behind a 102; n 204; m 304; e before the body is read;
 * anything else as l. Returns whether the connection goes on.
 */
static bool answer(int fd, const struct request *request, char how)
{
	static const char *const interim = "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n";
	unsigned int number = 0;
	size_t size = 2, used;
	char *text;
	bool good;

	sscanf(strstr(request->target, "/r/") ? strstr(request->target, "/r/") : "", "/r/%u/%zu/",
	       &number, &size);
	size = size < BODY_MAX ? size : BODY_MAX;
	text = malloc(size + 512);
	if (!text)
		abort();
	used = sprintf(text, "HTTP/1.1 %s\r\nX-Served: yes\r\n%s",
		       how == 'n'   ? "204 No Content"
		       : how == 'm' ? "304 Not Modified"
				    : "200 OK",
		       !request->keep_alive || how == 'u' ? "Connection: close\r\n"
		       : request->http10		  ? "Connection: keep-alive\r\n"
							  : "");
	if (how == 'c')
		used += sprintf(text + used, "Transfer-Encoding: chunked\r\n\r\n");
	else if (how == 'u' || how == 'n')
		used += sprintf(text + used, "\r\n");
	else
		used += sprintf(text + used, "Content-Length: %zu\r\n\r\n", size);
	memset(text + used, 'a', size);
	if (size > 12)
		text[used + sprintf(text + used, "%u:", number)] = 'a';
	if (how == 'n' || how == 'm' || !strcmp(request->method, "HEAD"))
		size = 0;
	good = how != 'i' || request->http10 || send_text(fd, interim);
	if (how == 'b')
		good = good && send_pieces(fd, text, used + size, 1, false);
	else if (how == 'p' || (how == 'c' && strcmp(request->method, "HEAD")))
		good = good && send_all(fd, text, used) &&
		       send_pieces(fd, text + used, size, how == 'c' ? 1000 : 4000, how == 'c');
	else
		good = good && send_all(fd, text, used + size);
	free(text);
	return good && request->keep_alive && how != 'u';
}

static void *serve(void *argument)
{
	struct connection *connection = argument;
	struct request request;
	bool goes_on = true;

	while (goes_on && read_head(connection, &request)) {
		const char *slash = strrchr(request.target, '/');
		char how = slash ? slash[1] : 'l';

		if (request.expects && how != 'e')
			send_text(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n");
		if (how == 'e') {
			goes_on = answer(connection->fd, &request, how);
			goes_on = read_body(connection, &request) && goes_on;
		} else {
			goes_on = read_body(connection, &request) &&
				  answer(connection->fd, &request, how);
		}
	}
	log_line("E %u\n", connection->port, "", "");
	close(connection->fd);
	free(connection);
	return NULL;
}

static bool choose_mode(const char *name)
{
	for (mode = 0; mode < sizeof(modes) / sizeof(modes[0]); mode++)
		if (!strcmp(modes[mode], name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	pthread_attr_t detached;
	pthread_t thread;
	int yes = 1, listener, fd;

	if (argc < 4 || !choose_mode(argv[3]) || chdir(argv[2])) {
		fprintf(stderr, "usage: app_lenient PORT FOLDER length|chunked|bodyless\n");
		return EXIT_FAILURE;
	}
	executed_log = open("executed.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (executed_log < 0) {
		perror("executed.log");
		return EXIT_FAILURE;
	}
	listener = listen_on(atoi(argv[1]));
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	while ((fd = accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = malloc(sizeof(*connection));

		if (!connection)
			abort();
		*connection = (struct connection){ .fd = fd, .port = ntohs(address.sin_port) };
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		if (pthread_create(&thread, &detached, serve, connection))
			abort();
	}
	perror("accept");
	return EXIT_FAILURE;
}
