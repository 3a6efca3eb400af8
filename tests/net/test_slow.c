// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Clients that read slowly and send buffers that are full: no answer is torn, doubled or mixed with
 * another, whatever the application does when the kernel takes only a part of what it writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "harness.h"
#include "http_client.h"

#define MEBIBYTE (1024 * 1024)

#define USUAL_SIZES    "4096 16384 4194304"
#define SMALLEST_SIZES "4096 4608 4608"

/* Set least, first and largest size of send buffers, for connections that are made from here on. */
static void set_send_buffers(const char *sizes)
{
	int fd = open("/proc/sys/net/ipv4/tcp_wmem", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, sizes, strlen(sizes)), strlen(sizes));
	close(fd);
}

/* Segments of Ethernet's size: with loopback's of 64 KiB a small window stands still. */
static void shorten_segments(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_mtu = 1500 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
	close(fd);
}

static struct client *open_narrow(uint16_t port)
{
	int small = 8192;
	struct client *client;

	shorten_segments();
	client = client_open(port);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	return client;
}

/*
 * Read an answer in small pieces with pauses at its start, where the headers are. Returns false where the
 * connection has ended before it.
 */
static bool expect_whole(struct client *client, size_t length)
{
	struct response response;
	int error;

	for (int i = 0; i < 5; i++)
		breathe();
	error = client_read(client, false, &response);
	if (error == -ENODATA)
		return false;
	if (error)
		fail_msg("no whole answer: %s", strerror(-error));
	expect_admitted(&response, 200);
	assert_int_equal(response.body_length, length);
	for (size_t i = 0; length == MEBIBYTE && i < length; i++)
		if (response.body[i])
			fail_msg("byte %zu of the body was changed", i);
	return true;
}

/* Returns false where the application was told EAGAIN amid it. */
static bool ask_slowly(const struct application *application)
{
	struct client *client = open_narrow(application->port);
	struct key key = key_limited(1000, 10000);
	size_t eagain = eagain_seen(application);
	int status;

	for (int i = 0; i < 6; i++) {
		client_printf(client,
			      "GET /%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
			      i % 2 ? "" : "large", key.text);
		if (!expect_whole(client, i % 2 ? 100 : MEBIBYTE) ||
		    (status = client_get(client, "/", NULL)) == -ENODATA) {
			assert_true(eagain_seen(application) > eagain);
			return false;
		}
		assert_int_equal(status, 401);
	}
	return true;
}

static void narrow_receiver(void **state)
{
	set_send_buffers(USUAL_SIZES);
	assert_true(ask_slowly(*state) || ask_slowly(*state));
}

static void narrow_both(void **state)
{
	set_send_buffers(SMALLEST_SIZES);
	assert_true(ask_slowly(*state) || ask_slowly(*state));
}

/* Refusals on many connections whose clients read nothing until all have asked. */
static void unread_refusals(void **state)
{
	enum { CONNECTIONS = 100 };
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);
	struct client *clients[CONNECTIONS];
	struct response response;

	set_send_buffers(USUAL_SIZES);
	for (int i = 0; i < CONNECTIONS; i++) {
		clients[i] = open_narrow(application->port);
		client_printf(clients[i], "GET /unread HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	for (int i = 0; i < CONNECTIONS; i++) {
		assert_int_equal(client_read(clients[i], false, &response), 0);
		expect_refusal(&response, 401, NULL);
		assert_int_equal(client_get(clients[i], "/", key.text), 200);
	}
	expect_seen(application, "/unread", 0);
}

/* One request behind the other on one connection, not one answer read: it ends, or it is answered. */
static void flood(void **state)
{
	enum { REQUESTS = 3000 };
	static const char request[] = "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n";
	const struct application *application = *state;
	struct client *client = open_narrow(application->port);
	struct response response;
	int sent = 0, answered = 0;

	while (sent < REQUESTS && send(client->fd, request, sizeof(request) - 1,
				       MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(request) - 1)
		sent++;
	while (answered < sent && !client_read(client, false, &response)) {
		expect_refusal(&response, response.status == 401 ? 401 : 400, NULL);
		answered++;
		if (response.status == 400)
			break;
	}
	assert_true(answered > 0);
	expect_seen(application, "/flood", 0);
}

/*
 * Requests of a used-up key, all sent before an answer is read. A refusal that there is no room for
 * waits, and is judged again; it counts once all the same.
 */
static void unread_limits(void **state)
{
	enum { REQUESTS = 200 };
	const struct application *application = *state;
	struct key key = key_limited(1, 1);
	struct response response;
	int roomy = 128 * 1024;
	struct client *client;
	uint32_t slot;

	set_send_buffers(SMALLEST_SIZES);
	client = open_narrow(application->port);
	setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &roomy, sizeof(roomy));
	need_window_ms(PATIENCE_MS);
	assert_int_equal(client_get(client, "/", key.text), 200);
	for (int i = 0; i < REQUESTS; i++)
		client_printf(client,
			      "GET /limit HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
			      key.text);
	for (int i = 0; i < 50; i++)
		breathe();
	for (int i = 0; i < REQUESTS; i++) {
		int error = client_read(client, false, &response);

		if (error)
			fail_msg("answer %d: %s", i, strerror(-error));
		expect_refusal(&response, 429, NULL);
	}
	usage_open();
	slot = usage_slot(&key);
	assert_int_equal(usage_admitted(slot), 1);
	assert_int_equal(usage_refused(slot), REQUESTS);
	usage_close();
	expect_seen(application, "/limit", 0);
}

/* A client that goes away in the middle of an answer takes nothing with it. */
static void gone_away(void **state)
{
	const struct application *application = *state;
	struct key key = key_limited(1000, 10000);

	for (int i = 0; i < 30; i++) {
		struct client *client = open_narrow(application->port);
		char bytes[512];

		client_printf(client,
			      "GET /large HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
			      key.text);
		assert_true(recv(client->fd, bytes, sizeof(bytes), 0) > 0);
		if (i % 2)
			client_abort(client);
		else
			client_close(client);
		assert_int_equal(client_get(client_open(application->port), "/", key.text), 200);
	}
}

static const struct promise promises[] = {
	{ "a slow reader gets large answers whole", narrow_receiver, EACH_APPLICATION },
	{ "a slow reader and the smallest send buffers: answers whole", narrow_both,
	  EACH_APPLICATION },
	{ "refusals that are read late are whole", unread_refusals, EACH_APPLICATION },
	{ "a flood of requests whose answers are not read: refused, whole", flood,
	  EACH_APPLICATION },
	{ "refusals by a limit that are read late are counted once each", unread_limits,
	  EACH_APPLICATION },
	{ "a client that goes away in an answer harms no other", gone_away, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
