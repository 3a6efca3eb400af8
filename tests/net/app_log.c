// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A server that notes what it executed: one blocking thread for each connection, as strict as
 * RFC 9112 lets it be, with chunked bodies, 100 (Continue), pipelining and Upgrade.
 *
 *	app_log PORT FOLDER [--poll]
 *
 * --poll waits in poll(2) before each read, and again where there was nothing to read.
 * FOLDER gets SEEN_FILE (seen.h) and rejected.log, what was no request. Answers carry the digest
 * of the request in X-Seen. Their form depends on the target, see forms[].
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
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "seen.h"

#define BUFFER_SIZE 65536
#define WORKERS	    640 /* more than there are connections at once */

static struct seen_table *table;
static bool with_poll;
static int rejected_log;
static int accepted[2]; /* a pipe: connections on their way to a worker */

struct connection {
	int fd;
	struct seen *seen;
	char buffer[BUFFER_SIZE + 1];
	size_t start, used; /* bytes that were received and not taken yet */
};

struct request {
	char method[64];
	char target[BUFFER_SIZE];
	size_t head_length;
	bool http10;
	bool keep_alive;
	bool chunked;
	bool expects;
	bool upgrade;
	uint64_t length;
	uint64_t digest; /* over "METHOD target", and " body" where there is one */
};

/* --- reading ----------------------------------------------------------------------------------- */

/* Receive more. False at the end of the connection, or where the buffer is full. */
static bool receive(struct connection *connection)
{
	struct pollfd readable = { .fd = connection->fd, .events = POLLIN };
	ssize_t got;

	memmove(connection->buffer, connection->buffer + connection->start, connection->used);
	connection->start = 0;
	do {
		if (with_poll)
			poll(&readable, 1, -1);
		got = recv(connection->fd, connection->buffer + connection->used,
			   BUFFER_SIZE - connection->used, with_poll ? MSG_DONTWAIT : 0);
	} while (with_poll && got < 0 && errno == EAGAIN);
	if (got < 0)
		connection->seen->error = errno;
	if (got <= 0)
		return false;
	connection->used += got;
	connection->buffer[connection->used] = '\0';
	return true;
}

static void take(struct connection *connection, size_t size)
{
	connection->start += size;
	connection->used -= size;
}

/* These bytes are no request. Always false. */
static bool reject(struct connection *connection, const char *why)
{
	size_t size = connection->used < 200 ? connection->used : 200;

	connection->seen->rejected = 1;
	dprintf(rejected_log, "%s: %.*s\n", why, (int)size, connection->buffer + connection->start);
	return false;
}

/* True where the list holds the word. */
static bool lists(const char *value, const char *word)
{
	size_t length = strlen(word);

	for (; *value; value += *value == ',') {
		value += strspn(value, " \t");
		if (!strncasecmp(value, word, length) && strchr(" \t,", value[length]))
			return true;
		value += strcspn(value, ",");
	}
	return false;
}

/* Whether a CGI program would take the name for X-Key-Id. */
static bool names_identity(const char *name)
{
	const char *identity = "x-key-id";

	for (; *name && *identity; name++, identity++)
		if (*identity == '-' ? isalnum((unsigned char)*name)
				     : tolower((unsigned char)*name) != *identity)
			return false;
	return !*name && !*identity;
}

static void take_field(struct request *request, const char *name, const char *value,
		       unsigned int *identities, bool *secret)
{
	*identities += names_identity(name);
	*secret |= !strcasecmp(name, "Authorization");
	if (!strcasecmp(name, "Content-Length"))
		request->length = strtoull(value, NULL, 10);
	else if (!strcasecmp(name, "Transfer-Encoding"))
		request->chunked = true;
	else if (!strcasecmp(name, "Expect"))
		request->expects = !request->http10;
	else if (!strcasecmp(name, "Upgrade"))
		request->upgrade = !request->http10;
	else if (!strcasecmp(name, "Connection") && lists(value, "close"))
		request->keep_alive = false;
	else if (!strcasecmp(name, "Connection") && lists(value, "keep-alive") && request->http10)
		request->keep_alive = true;
}

/* Split the fields in their lines; the head is changed by that. */
static void take_fields(struct connection *connection, struct request *request, char *line)
{
	unsigned int identities = 0;
	bool secret = false, closes = false;

	while (*line != '\r') {
		char *end = strstr(line, "\r\n");
		char *colon = memchr(line, ':', end - line);
		char *value = colon + 1 + strspn(colon + 1, " \t");
		char *next = end + 2;

		*colon = *end = '\0';
		while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = '\0';
		closes |= !strcasecmp(line, "Connection") && lists(value, "close");
		take_field(request, line, value, &identities, &secret);
		line = next;
	}
	request->keep_alive &= !closes;
	connection->seen->leaked += secret || identities != 1;
}

/* Every line of the head: CRLF at its end and no NUL or CR in it, and a colon in all but the first. */
static bool lines_are_good(const char *head, size_t length)
{
	const char *line = head, *end = head + length - 2;

	while (line < end) {
		const char *line_end = memchr(line, '\n', end - line);
		size_t size = line_end ? line_end - line - 1 : 0;

		if (!size || line[size] != '\r' || memchr(line, '\0', size) ||
		    memchr(line, '\r', size) || *line == ' ' || *line == '\t' ||
		    (line != head && !memchr(line, ':', size)))
			return false;
		line = line_end + 1;
	}
	return true;
}

/* Wait for a head. False at the end of the connection, or where it is none. */
static bool read_head(struct connection *connection, struct request *request)
{
	char version[16], *head, *end;

	for (;;) {
		head = connection->buffer + connection->start;
		/* One empty line is skipped, RFC 9112 2.2. */
		if (connection->used >= 2 && !memcmp(head, "\r\n", 2)) {
			take(connection, 2);
			head += 2;
		}
		end = connection->used ? memmem(head, connection->used, "\r\n\r\n", 4) : NULL;
		if (end)
			break;
		if (connection->used == BUFFER_SIZE)
			return reject(connection, "no end of a head");
		if (!receive(connection))
			return false;
	}
	request->head_length = end + 4 - head;
	if (!lines_are_good(head, request->head_length) ||
	    sscanf(head, "%63[^ \r] %65535[^ \r] %15[^ \r]", request->method, request->target,
		   version) != 3 ||
	    strncmp(version, "HTTP/1.", 7))
		return reject(connection, "not a head");
	request->http10 = !strcmp(version, "HTTP/1.0");
	request->keep_alive = !request->http10;
	take_fields(connection, request, strstr(head, "\r\n") + 2);
	connection->seen->heads++;
	take(connection, request->head_length);
	request->digest = digest_add(DIGEST_START, request->method, strlen(request->method));
	request->digest = digest_add(request->digest, " ", 1);
	request->digest = digest_add(request->digest, request->target, strlen(request->target));
	return true;
}

/* Read so many bytes of body. */
static bool read_data(struct connection *connection, struct request *request, uint64_t length)
{
	if (length && !connection->seen->unfinished)
		request->digest = digest_add(request->digest, " ", 1);
	while (length) {
		size_t size = connection->used < length ? connection->used : length;

		request->digest =
			digest_add(request->digest, connection->buffer + connection->start, size);
		connection->seen->unfinished += size;
		take(connection, size);
		length -= size;
		if (length && !receive(connection))
			return false;
	}
	return true;
}

/* Wait for a line of the chunked coding; its length without CRLF. */
static ssize_t read_line(struct connection *connection)
{
	const char *end;

	while (!(end = memchr(connection->buffer + connection->start, '\n', connection->used)))
		if (!receive(connection))
			return -1;
	return end - connection->buffer - connection->start - 1;
}

static bool read_chunks(struct connection *connection, struct request *request)
{
	uint64_t size = 1;

	while (size) {
		ssize_t length = read_line(connection);
		const char *line = connection->buffer + connection->start;
		char *end;

		if (length < 0)
			return false;
		if (line[length] != '\r' || !isxdigit((unsigned char)*line))
			return reject(connection, "not a chunk's size");
		size = strtoull(line, &end, 16);
		if (*end != '\r' && *end != ';')
			return reject(connection, "not a chunk's size");
		take(connection, length + 2);
		if (!read_data(connection, request, size))
			return false;
		length = read_line(connection);
		if (length < 0)
			return false;
		if (length || connection->buffer[connection->start] != '\r')
			return reject(connection, "not the end of a chunk");
		take(connection, 2);
	}
	return true;
}

static bool read_body(struct connection *connection, struct request *request)
{
	struct seen *seen = connection->seen;
	bool whole;

	if (request->expects && (request->chunked || request->length) &&
	    !send_text(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n"))
		return false;
	seen->unfinished = 0;
	whole = request->chunked ? read_chunks(connection, request)
				 : read_data(connection, request, request->length);
	if (!whole)
		return false;
	seen->unfinished = 0;
	seen->executed++;
	seen->digest = digest_add(seen->digest, &request->digest, sizeof(request->digest));
	return true;
}

/* --- answering --------------------------------------------------------------------------------- */

#define LOOKALIKE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

enum flow { ONE_WRITE, SINGLE_BYTES, TWO_WRITES, SLOWLY };

/* How a request is answered, by the beginning of its target; the last stands for all others. */
struct form {
	const char *target;
	const char *before; /* sent before the final answer's head, in one write with it */
	int status;
	const char *framing;
	const char *body;
	enum flow flow; /* of head and body */
};

static const struct form forms[] = {
	{ "/204", "", 204, "", "", ONE_WRITE },
	{ "/304", "", 304, "Content-Length: 1000\r\n", "", ONE_WRITE },
	{ "/chunked-bytes", "", 200, "Transfer-Encoding: chunked\r\n",
	  "4\r\nHTTP\r\na;x=\"y\"\r\n/1.1 200 O\r\n0\r\n\r\n", SINGLE_BYTES },
	{ "/chunked", "", 200, "Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n",
	  TWO_WRITES },
	{ "/until-close", "", 200, "Connection: close\r\n", UNTIL_CLOSE_BODY, TWO_WRITES },
	{ "/bytes", "", 200, "Content-Length: 2\r\n", "ok", SINGLE_BYTES },
	{ "/interim-bytes", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 200,
	  "Content-Length: 2\r\n", "ok", SINGLE_BYTES },
	{ "/interim",
	  "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 200,
	  "Content-Length: 2\r\n", "ok", ONE_WRITE },
	{ "/lookalike", "", 200, "Content-Length: 38\r\n", LOOKALIKE, TWO_WRITES },
	{ "/slow", "", 200, "Content-Length: 38\r\n", LOOKALIKE, SLOWLY },
	{ "/empty", "", 200, "Content-Length: 0\r\n", "", ONE_WRITE },
	{ "", "", 200, "Content-Length: 2\r\n", "ok", ONE_WRITE },
};

static bool send_pieces(int fd, const char *data, size_t size, size_t piece, long pause_ms)
{
	for (size_t at = 0; at < size; at += piece) {
		if (!send_all(fd, data + at, size - at < piece ? size - at : piece))
			return false;
		if (pause_ms)
			nanosleep(&(struct timespec){ .tv_nsec = pause_ms * 1000000 }, NULL);
	}
	return true;
}

static bool answer(int fd, const struct request *request)
{
	const struct form *form = forms;
	char text[512];
	int head_length, length;

	while (strncmp(request->target, form->target, strlen(form->target)))
		form++;
	head_length = snprintf(text, sizeof(text), "%sHTTP/1.1 %d X\r\nX-Seen: %016llx\r\n%s%s\r\n",
			       request->http10 ? "" : form->before, form->status,
			       (unsigned long long)request->digest, form->framing,
			       !request->keep_alive ? "Connection: close\r\n"
			       : request->http10    ? "Connection: keep-alive\r\n"
						    : "");
	length = head_length;
	if (strcmp(request->method, "HEAD") != 0)
		length += snprintf(text + length, sizeof(text) - length, "%s", form->body);
	if (form->flow == SINGLE_BYTES)
		return send_pieces(fd, text, length, 1, 0);
	if (form->flow == ONE_WRITE)
		return send_all(fd, text, length);
	return send_all(fd, text, head_length) &&
	       send_pieces(fd, text + head_length, length - head_length,
			   form->flow == SLOWLY ? 16 : sizeof(text),
			   form->flow == SLOWLY ? 5 : 0) &&
	       strcmp(form->target, "/until-close") != 0;
}

/* Whatever comes is sent back. */
static void echo(struct connection *connection)
{
	if (!send_text(connection->fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				       "Connection: upgrade\r\n\r\n"))
		return;
	do {
		if (!send_all(connection->fd, connection->buffer + connection->start,
			      connection->used))
			return;
		connection->used = 0;
	} while (receive(connection));
}

static void serve(struct connection *connection, struct request *request)
{
	for (;;) {
		memset(request, 0, offsetof(struct request, target));
		request->target[0] = '\0';
		request->chunked = request->expects = request->upgrade = false;
		request->length = 0;
		if (!read_head(connection, request) || !read_body(connection, request))
			break;
		if (request->upgrade && !strncmp(request->target, "/socket", 7)) {
			echo(connection);
			return;
		}
		if (!answer(connection->fd, request) || !request->keep_alive)
			return;
	}
	connection->seen->unfinished += connection->used;
}

/* --- connections ----------------------------------------------------------------------------------- */

static void *work(void *argument)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct request *request = calloc(1, sizeof(*request));
	int fd;

	(void)argument;
	while (connection && request && read(accepted[0], &fd, sizeof(fd)) == sizeof(fd)) {
		struct sockaddr_in peer;
		socklen_t length = sizeof(peer);

		if (!getpeername(fd, (struct sockaddr *)&peer, &length)) {
			connection->fd = fd;
			connection->start = connection->used = 0;
			connection->seen =
				&table->connections[ntohl(peer.sin_addr.s_addr) % SEEN_MAX];
			connection->seen->digest = DIGEST_START;
			serve(connection, request);
		}
		close(fd);
	}
	return NULL;
}

static int open_file(const char *name, int flags)
{
	int fd = open(name, flags | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		perror(name);
		exit(EXIT_FAILURE);
	}
	return fd;
}

/* Accept while nobody asks to wait with that, and note who was. */
static void accept_all(int listener)
{
	struct pollfd readable = { .fd = listener, .events = POLLIN };

	for (;;) {
		struct sockaddr_in peer;
		socklen_t length = sizeof(peer);
		int fd, yes = 1;

		poll(&readable, 1, -1);
		while (__atomic_load_n(&table->hold, __ATOMIC_SEQ_CST))
			nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
		fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		__atomic_store_n(
			&table->connections[ntohl(peer.sin_addr.s_addr) % SEEN_MAX].accepted, 1,
			__ATOMIC_SEQ_CST);
		if (write(accepted[1], &fd, sizeof(fd)) != sizeof(fd))
			abort();
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int file;

	if (argc < 3 || chdir(argv[2])) {
		fprintf(stderr, "usage: app_log PORT FOLDER [--poll]\n");
		return EXIT_FAILURE;
	}
	with_poll = argc > 3 && !strcmp(argv[3], "--poll");
	rejected_log = open_file("rejected.log", O_WRONLY | O_APPEND);
	file = open_file(SEEN_FILE, O_RDWR);
	if (ftruncate(file, sizeof(*table)) || pipe(accepted)) {
		perror(SEEN_FILE);
		return EXIT_FAILURE;
	}
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (table == MAP_FAILED) {
		perror(SEEN_FILE);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < WORKERS; i++)
		if (pthread_create(&thread, NULL, work, NULL))
			return EXIT_FAILURE;
	accept_all(listen_on(atoi(argv[1])));
	return EXIT_FAILURE;
}
