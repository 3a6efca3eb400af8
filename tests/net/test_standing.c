// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How the gate goes up, stands and comes down. Each test starts and ends the daemon itself. */
#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "harness.h"
#include "http_client.h"

/* True where not one byte of an answer comes; the connection may end. */
static bool gets_nothing(struct client *client, unsigned int ms)
{
	struct pollfd readable = { .fd = client->fd, .events = POLLIN };
	char byte;

	return poll(&readable, 1, ms) == 0 || recv(client->fd, &byte, 1, 0) <= 0;
}

static void established_before(void **state)
{
	const struct application *application = *state;
	struct client *used = client_open(application->port), *fresh;
	struct key key;

	assert_int_equal(client_get(used, "/", NULL), 200);
	fresh = client_open(application->port);
	daemon_start();
	key = key_limited(0, 0);
	for (int i = 0; i < 2; i++) {
		struct client *client = i ? fresh : used;

		client_printf(client,
			      "GET /before HTTP/1.1\r\nHost: api.test\r\n"
			      "Authorization: Bearer %s\r\n\r\n",
			      key.text);
		assert_true(gets_nothing(client, 400));
	}
	assert_int_equal(client_get(client_open(application->port), "/", key.text), 200);
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 401);
	expect_seen(application, "/before", 0);
}

/* What a second daemon shares with the first; all else is its own. */
enum shared { SHARED_PORT, SHARED_PINS, SHARED_STATE };

/* Start a second daemon; it must end, and its log say what is in the way. */
static void expect_turned_away(enum shared shared, const char *obstacle)
{
	uint16_t port = shared == SHARED_PORT ? applications[NGINX].port : 9100;
	struct stage first = stage;
	char log[128];
	pid_t second;
	int status;

	snprintf(log, sizeof(log), "%s/second-%d.log", stage.folder, shared);
	if (shared != SHARED_STATE)
		snprintf(stage.state, sizeof(stage.state), "%s/second", stage.folder);
	if (shared != SHARED_PINS)
		snprintf(stage.pins, sizeof(stage.pins), "%s/bpf/second", stage.folder);
	snprintf(stage.socket, sizeof(stage.socket), "%s/second.sock", stage.folder);
	second = process_start(log, daemon_command(port));
	stage = first;
	status = process_stop(second, 0);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 0);
	assert_int_not_equal(WEXITSTATUS(status), ADDRESS_SANITIZER_EXIT);
	if (!count_lines(log, obstacle)) {
		show_file(log);
		fail_msg("the message does not name %s", obstacle);
	}
}

static void second_daemon(void **state)
{
	char port[16], path[128];

	(void)state;
	daemon_start();
	snprintf(port, sizeof(port), "%u", applications[NGINX].port);
	expect_turned_away(SHARED_PORT, port);
	expect_turned_away(SHARED_PINS, stage.pins);
	expect_turned_away(SHARED_STATE, stage.state);
	/* What it had pinned when it found out is gone. */
	snprintf(path, sizeof(path), "%s/bpf/second", stage.folder);
	assert_true(access(path, F_OK));
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", NULL), 401);
	key_limited(0, 0);
}

static size_t entries(const char *folder)
{
	DIR *stream = opendir(folder);
	struct dirent *entry;
	size_t count = 0;

	if (!stream)
		return 0;
	while ((entry = readdir(stream)))
		count += entry->d_name[0] != '.';
	closedir(stream);
	return count;
}

static void removed(void **state)
{
	const struct application *application = *state;
	struct client *open;
	struct key key;

	daemon_start();
	key = key_limited(0, 0);
	open = client_open(application->port);
	assert_int_equal(client_get(open, "/", key.text), 200);
	assert_true(entries(stage.pins) > 5);
	/* Not under a running daemon. */
	assert_int_not_equal(daemon_remove(), 0);
	assert_int_equal(client_get(open, "/", key.text), 200);
	daemon_stop();
	assert_int_equal(client_get(open, "/", key.text), 200);
	assert_int_equal(daemon_remove(), 0);
	assert_int_equal(entries(stage.pins), 0);
	assert_true(access(stage.pins, F_OK));
	/* What was gated must not go on ungated. */
	client_send(open, "GET /removed HTTP/1.1\r\nHost: a\r\n\r\n", 34);
	assert_true(gets_nothing(open, 400));
	expect_seen(application, "/removed", 0);
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 200);
}

static void without_daemon(void **state)
{
	const struct application *application = *state;
	struct client *client;
	struct key key;

	daemon_start();
	key = key_limited(0, 0);
	daemon_stop();
	client = client_open(application->port);
	assert_int_equal(client_get(client, "/", NULL), 401);
	assert_int_equal(client_get(client, "/", key.text), 200);
}

static void ipv6(void **state)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
					.sin6_port = htons(applications[THREADED_POLL].port),
					.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct client client = { .fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	struct key key;
	int error;

	(void)state;
	daemon_start();
	key = key_limited(0, 0);
	error = connect(client.fd, (struct sockaddr *)&address, sizeof(address));
	assert_int_equal(error, 0);
	assert_int_equal(client_get(&client, "/", NULL), 401);
	assert_int_equal(client_get(&client, "/", key.text), 200);
	client_close(&client);
}

/*
 * An outgoing connection whose local port happens to be a protected one is no request. Node's: it listens
 * on 127.0.0.1 alone, and another address of loopback is free.
 */
static void outgoing(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9001) };
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_port = htons(applications[NODE].port) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer, yes = 1;
	struct client client = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	char bytes[16] = "";

	(void)state;
	daemon_start();
	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	inet_pton(AF_INET, "127.0.0.2", &own.sin_addr);
	setsockopt(client.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(bind(client.fd, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer >= 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(send(peer, "not a request\n", 14, 0), 14);
		assert_int_equal(recv(client.fd, bytes, 14, MSG_WAITALL), 14);
		assert_string_equal(bytes, "not a request\n");
		assert_int_equal(send(client.fd, "nor an answer\n", 14, 0), 14);
		assert_int_equal(recv(peer, bytes, 14, MSG_WAITALL), 14);
	}
	close(peer);
	close(listener);
	client_close(&client);
}

/* More connections than the table holds: the rest is turned away, not let through unjudged. */
static void table_full(void **state)
{
	enum { ROOM = 64, CLIENTS = 100, TURNED_AWAY = 5 };
	const struct application *application = *state;
	struct client clients[CLIENTS];
	int tried = 0, opened = 0, refused = 0, admitted = 0;
	struct key key;

	daemon_configure("[sluice]\nmax_connections = 64\n");
	daemon_start();
	key = key_limited(1000, 10000);
	client_patience_ms = 300;
	for (; tried < CLIENTS && tried - opened < TURNED_AWAY; tried++) {
		struct client *client = &clients[tried];

		if (client_connect(client, application->port))
			continue;
		opened++;
		refused += client_get(client, "/unjudged", NULL) == 401;
		admitted += client_get(client, "/", key.text) == 200;
	}
	while (tried)
		client_close(&clients[--tried]);
	printf("# room for %d: %d opened, %d admitted\n", ROOM, opened, admitted);
	assert_true(admitted >= ROOM / 2 && admitted < CLIENTS);
	assert_int_equal(refused, admitted);
	expect_seen(application, "/unjudged", 0);
	client_patience_ms = CLIENT_PATIENCE_MS;
	/* With room again, all is as before. */
	expect_no_connections();
	assert_int_equal(client_get(client_open(application->port), "/", NULL), 401);
	assert_int_equal(client_get(client_open(application->port), "/", key.text), 200);
}

static void identity_kept(void **state)
{
	const struct application *application = *state;
	struct response response;
	char configuration[64];
	struct key key;

	snprintf(configuration, sizeof(configuration), "[port %u]\nidentity = keep\n",
		 application->port);
	daemon_configure(configuration);
	daemon_start();
	key = key_limited(0, 0);
	client_ask(client_open(application->port), "GET", "/echo", key.text,
		   "X-Key-Id: key_forged; account=root\r\n", &response);
	expect_admitted(&response, 200);
	assert_true(holds(response.body, response.body_length, "Authorization: Bearer gx_"));
	assert_true(holds(response.body, response.body_length, key.text));
	assert_false(holds(response.body, response.body_length, "forged"));
}

#define WHOLE 10000

/* A chunked request with a trailer behind it, sent in pieces. Returns what client_read() does. */
static int ask_with_trailer(struct client *client, const char *key, const char *trailer,
			    size_t piece, struct response *ret_response)
{
	char *text;
	int length = asprintf(
		&text,
		"POST /echo/trailer HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %s\r\n"
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n%s\r\n\r\n",
		key, trailer);

	assert_true(length > 0);
	for (size_t at = 0; at < (size_t)length; at += piece) {
		client_send(client, text + at, length - at < piece ? length - at : piece);
		if (piece < WHOLE)
			breathe();
	}
	free(text);
	return client_read(client, false, ret_response);
}

static void expect_trailer_refused(const struct application *application, const char *key,
				   const char *trailer)
{
	struct client *client = client_open(application->port);
	struct response response;

	assert_int_equal(ask_with_trailer(client, key, trailer, WHOLE, &response), 0);
	expect_refusal(&response, 400, NULL);
	assert_true(client_sees_end(client, PATIENCE_MS));
}

/* Node shows trailers; the other applications' ports refuse them, whatever these would do. */
static void trailers_passed(void **state)
{
	static const char *const barred[] = {
		"Content-Length: 5",
		"transfer_encoding: chunked",
		"Host: other.test",
		"X-Key-Id: key_forged; account=root",
		"Authorization: Bearer gx_forged",
		"bare",
	};
	const struct application *application = &applications[NODE];
	struct client *client;
	struct response response;
	char configuration[64];
	struct key key;

	(void)state;
	if (application->missing)
		skip();
	snprintf(configuration, sizeof(configuration), "[port %u]\ntrailers = pass\n",
		 application->port);
	daemon_configure(configuration);
	daemon_start();
	key = key_limited(0, 0);
	client = client_open(application->port);
	for (size_t piece = 1; piece < 1000; piece += 200) {
		assert_int_equal(ask_with_trailer(client, key.text, "X-Sum: 42", piece, &response),
				 0);
		expect_admitted(&response, 200);
		assert_true(holds(response.body, response.body_length, "\r\n\r\nX-Sum: 42\r\n"));
	}
	assert_int_equal(client_get(client, "/", key.text), 200);
	for (size_t i = 0; i < ARRAY_SIZE(barred); i++)
		expect_trailer_refused(application, key.text, barred[i]);
	expect_seen(application, "/echo/trailer", 5);
	expect_trailer_refused(&applications[NGINX], key.text, "X-Sum: 42");
	expect_seen(&applications[NGINX], "/echo/trailer", 0);
}

static const struct promise promises[] = {
	{ "a connection from before the gate gets nothing through", established_before,
	  EACH_APPLICATION },
	{ "a second daemon on the same port, pins or state is refused, and told why", second_daemon,
	  ONCE },
	{ "--remove leaves no pin and no connection ungated", removed, EACH_APPLICATION },
	{ "the gate stands when the daemon was stopped", without_daemon, EACH_APPLICATION },
	{ "requests over IPv6 are gated", ipv6, ONCE },
	{ "an outgoing connection from a protected port number is left alone", outgoing, ONCE },
	{ "more connections than there is room for: none goes unjudged", table_full,
	  EACH_APPLICATION },
	{ "identity = keep leaves the line, and no forged X-Key-Id", identity_kept,
	  EACH_APPLICATION },
	{ "trailers = pass lets through harmless ones, of that port alone", trailers_passed, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
