// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The test, or a program of its own, in the place of the threaded application. */
#include "stand_in.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#define SERVERS_MAX 256

static int listener = -1;
static int servers[SERVERS_MAX];
static size_t server_count;

/* Free the port, of the application or of what a test that failed left in its place. */
static struct application *free_place(void)
{
	struct application *application = &applications[THREADED];

	if (application->pid)
		process_stop(application->pid, SIGTERM);
	application->pid = 0;
	while (server_count)
		close(servers[--server_count]);
	if (listener >= 0)
		close(listener);
	listener = -1;
	return application;
}

uint16_t stand_in_listen(void)
{
	struct application *application = free_place();
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(application->port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int one = 1;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 16), 0);
	return application->port;
}

void stand_in_free(void)
{
	free_place();
}

const struct application *stand_in_run(const char *interpreter, const char *program)
{
	struct application *application = free_place();
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	char path[320], port[8], log[128];
	struct client client;

	snprintf(path, sizeof(path), "%s/%s", stage.root, program);
	snprintf(port, sizeof(port), "%u", application->port);
	snprintf(log, sizeof(log), "%s/output.log", application->folder);
	application->pid = process_start(log, (char *[]){ (char *)interpreter, path, port,
							  application->folder, NULL });
	while (client_connect(&client, application->port)) {
		if (!process_runs(application->pid) || monotonic_ms() > end_ms) {
			show_file(log);
			fail_msg("%s did not start", program);
		}
		breathe();
	}
	client_close(&client);
	return application;
}

void stand_in_leave(void)
{
	start_application(free_place());
}

int stand_in_accept(void)
{
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(server >= 0);
	assert_true(server_count < SERVERS_MAX);
	servers[server_count++] = server;
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return server;
}

struct client *stand_in_meet(int *ret_server)
{
	struct client *client = client_open(applications[THREADED].port);

	*ret_server = stand_in_accept();
	return client;
}

size_t stand_in_read(int server, const char *text, char *ret_read, size_t size)
{
	size_t length = 0;

	ret_read[0] = '\0';
	while (!strstr(ret_read, text)) {
		ssize_t got;

		assert_true(length + 1 < size);
		got = recv(server, ret_read + length, size - 1 - length, 0);
		/* Blocking servers are told so at times (README, limits); the bytes come. */
		if (got < 0 && errno == EAGAIN && !stand_in_is_spared(server, PATIENCE_MS))
			continue;
		if (got <= 0)
			fail_msg("the application got %s before '%s', behind: %s",
				 got ? strerror(errno) : "end-of-file", text, ret_read);
		length += got;
		ret_read[length] = '\0';
	}
	return length;
}

void stand_in_write(int server, const char *text)
{
	assert_int_equal(send(server, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void stand_in_receive(int server)
{
	char request[2048];

	assert_true(recv(server, request, sizeof(request), 0) > 0);
}

size_t stand_in_make_answer(char *ret_answer, size_t length)
{
	size_t head = sprintf(ret_answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);

	memset(ret_answer + head, 'A', length);
	return head + length;
}

bool stand_in_is_spared(int server, unsigned int ms)
{
	struct pollfd readable = { .fd = server, .events = POLLIN };

	return poll(&readable, 1, ms) == 0;
}

bool stand_in_sees_end(int server, unsigned int ms)
{
	struct pollfd readable = { .fd = server, .events = POLLIN };
	char byte;

	return poll(&readable, 1, ms) == 1 && recv(server, &byte, 1, 0) <= 0;
}
