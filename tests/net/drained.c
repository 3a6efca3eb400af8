// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "drained.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "stand_in.h"

#define CHUNK "x-x-x-x-x-x-x-x-"
#define OK    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"

void ask(struct client *client, const struct key *key)
{
	client_printf(client,
		      "GET /drained HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
		      key->text);
}

void expect_ended(struct client *client)
{
	char byte;

	assert_true(recv(client->fd, &byte, 1, 0) <= 0);
	assert_int_not_equal(errno, EAGAIN);
}

bool lets_in(uint16_t port)
{
	struct client client;
	bool in;

	client_patience_ms = 300;
	in = !client_connect(&client, port);
	if (in)
		client_close(&client);
	client_patience_ms = CLIENT_PATIENCE_MS;
	return in;
}

struct stand prepare(void)
{
	struct stand stand = { .port = stand_in_listen(), .key = key_limited(1000, 10000) };
	struct response response;
	char request[1024];
	int server;

	stand.idle = stand_in_meet(&server);
	ask(stand.idle, &stand.key);
	stand_in_read(server, "\r\n\r\n", request, sizeof(request));
	stand_in_write(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	assert_int_equal(client_read(stand.idle, false, &response), 0);
	stand.busy = stand_in_meet(&stand.server);
	ask(stand.busy, &stand.key);
	stand_in_read(stand.server, "\r\n\r\n", request, sizeof(request));
	return stand;
}

void finish_answer(const struct stand *stand)
{
	enum { PIECES = 20 };
	struct response response;
	char head[128];

	snprintf(head, sizeof(head), OK, (int)(PIECES * strlen(CHUNK)));
	stand_in_write(stand->server, head);
	for (int i = 0; i < PIECES; i++) {
		breathe();
		stand_in_write(stand->server, CHUNK);
	}
	assert_int_equal(client_read(stand->busy, false, &response), 0);
	expect_admitted(&response, 200);
	assert_int_equal(response.body_length, PIECES * strlen(CHUNK));
}

void configure_without(uint16_t port)
{
	char text[512] = "";

	for (int i = 0; i < APPLICATIONS; i++)
		if (applications[i].port != port)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "[port %u]\n",
				 applications[i].port);
	daemon_configure(text);
}

bool is_gated(uint16_t port)
{
	char body[4096], text[32];

	assert_int_equal(api("GET", "/v1/gates", NULL, body, sizeof(body)), 200);
	snprintf(text, sizeof(text), "\"port\":%u,", port);
	return strstr(body, text);
}

void start_configured(void)
{
	daemon_ports_in_file = true;
	configure_without(0);
	daemon_start();
}
