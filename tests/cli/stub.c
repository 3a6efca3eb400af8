/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A stand-in for the daemon, one thread. */
#include "stub.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

struct stub {
	char folder[32];
	char socket[64];
	const char *answer;
	int limit;
	int listener;
	bool serving; /* the thread is not joined yet */
	pthread_t thread;
	/* the thread's, until it is joined */
	int requests;
	char request[8192];
};

/* The one that was started and not stopped. */
static struct stub *running;

/* True where the head, and a body of the length it names, are there. */
static bool complete(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *field = strstr(request, "Content-Length: ");

	return end && (!field || strlen(end + 4) >= strtoul(field + 16, NULL, 10));
}

static void serve(struct stub *stub, int fd)
{
	char request[sizeof(stub->request)];
	size_t length = 0, sent = 0, answer_length = strlen(stub->answer);
	ssize_t count = 1;

	request[0] = '\0';
	while (!complete(request) && length + 1 < sizeof(request) && count > 0) {
		count = read(fd, request + length, sizeof(request) - length - 1);
		length += count > 0 ? count : 0;
		request[length] = '\0';
	}
	stub->requests++;
	memcpy(stub->request, request, length + 1);

	for (count = 1; count > 0 && sent < answer_length; sent += count)
		count = send(fd, stub->answer + sent, answer_length - sent, MSG_NOSIGNAL);
}

static void *run(void *data)
{
	struct stub *stub = data;
	int fd;

	while ((fd = accept(stub->listener, NULL, NULL)) >= 0) {
		/* Before the last answer, so that nobody can queue behind it. */
		if (stub->requests + 1 == stub->limit)
			shutdown(stub->listener, SHUT_RDWR);
		serve(stub, fd);
		close(fd);
	}
	return NULL;
}

struct stub *stub_start(const char *answer, int requests)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stub *stub = calloc(1, sizeof(*stub));

	assert_non_null(stub);
	strcpy(stub->folder, "/tmp/sluice-test.XXXXXX");
	assert_non_null(mkdtemp(stub->folder));
	snprintf(stub->socket, sizeof(stub->socket), "%s/control.sock", stub->folder);
	strcpy(address.sun_path, stub->socket);
	stub->answer = answer;
	stub->limit = requests;
	stub->serving = true;
	stub->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(stub->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(stub->listener, 8), 0);
	assert_int_equal(pthread_create(&stub->thread, NULL, run, stub), 0);
	running = stub;
	return stub;
}

const char *stub_socket(const struct stub *stub)
{
	return stub->socket;
}

void stub_stop_serving(struct stub *stub)
{
	if (!stub->serving)
		return;
	/* accept() on a socket that is shut down returns. */
	shutdown(stub->listener, SHUT_RDWR);
	pthread_join(stub->thread, NULL);
	stub->serving = false;
}

int stub_requests(const struct stub *stub)
{
	return stub->requests;
}

const char *stub_request(const struct stub *stub)
{
	return stub->request;
}

void stub_stop(struct stub *stub)
{
	stub_stop_serving(stub);
	close(stub->listener);
	unlink(stub->socket);
	rmdir(stub->folder);
	free(stub);
	running = NULL;
}

int stub_tear_down(void **state)
{
	(void)state;
	if (running)
		stub_stop(running);
	return 0;
}
