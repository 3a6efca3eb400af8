// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "relay_sockets.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sodium.h>

/* Milliseconds that the kernel may take to find out that nothing can be sent on the sink. */
#define BREAK_TIMEOUT_MS 2000
/* Milliseconds that a connection on loopback may take, or a datagram through the injector. */
#define PASSAGE_TIMEOUT_MS 1000

static int await_event(int fd, short event)
{
	struct pollfd awaited = { .fd = fd, .events = event };

	return poll(&awaited, 1, PASSAGE_TIMEOUT_MS) == 1 ? 0 : -ETIMEDOUT;
}

/* Connect to a listening socket of our own. Loopback may be down, and then nothing ever comes. */
static int connect_to(int listener, int fd, int *ret_accepted)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	int r = 0;

	if (getsockname(listener, (struct sockaddr *)&address, &length) ||
	    (connect(fd, (struct sockaddr *)&address, length) && errno != EINPROGRESS))
		return -errno;
	r = await_event(listener, POLLIN);
	if (r)
		return r;
	*ret_accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return *ret_accepted < 0 ? -errno : await_event(fd, POLLOUT);
}

/* A connected pair of TCP sockets on loopback. */
static int tcp_pair(int ret_pair[2])
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	ret_pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0 || ret_pair[0] < 0 ||
	    bind(listener, (const struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1))
		r = -errno;
	else
		r = connect_to(listener, ret_pair[0], &ret_pair[1]);
	if (listener >= 0)
		close(listener);
	return r;
}

static bool loopback_is_up(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) || lo.ifr_flags & IFF_UP;

	if (fd >= 0)
		close(fd);
	return up;
}

int relay_socket_pair(int ret_pair[2])
{
	return loopback_is_up() ? tcp_pair(ret_pair) : -ENETDOWN;
}

/* --- the sink ---------------------------------------------------------------------------------- */

int relay_sink_await_broken(int sink)
{
	struct pollfd broken = { .fd = sink };
	socklen_t length = sizeof(int);
	int error = 0;

	/* Only POLLERR can come, which need not be asked for. */
	if (poll(&broken, 1, BREAK_TIMEOUT_MS) != 1)
		return -ETIMEDOUT;
	if (getsockopt(sink, SOL_SOCKET, SO_ERROR, &error, &length))
		return -errno;
	return error ? 0 : -ETIMEDOUT;
}

/* --- the deliverer ----------------------------------------------------------------------------- */

static ssize_t receive(int injector, uint8_t *bytes, size_t size)
{
	ssize_t received = recv(injector, bytes, size, MSG_DONTWAIT);

	/* It was left to the kernel's worker. */
	if (received < 0 && errno == EAGAIN && !await_event(injector, POLLIN))
		received = recv(injector, bytes, size, MSG_DONTWAIT);
	return received;
}

/* All of it, or it is said why not. */
static int send_whole(int deliverer, const void *bytes, size_t length)
{
	ssize_t sent = send(deliverer, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent == (ssize_t)length ? 0 : sent < 0 ? -errno : -EPIPE;
}

int relay_deliver(int injector, int deliverer, size_t length)
{
	uint8_t bytes[INJECT_BYTES_MAX + 1]; /* one more, to see that there is more */
	ssize_t received = receive(injector, bytes, sizeof(bytes));
	int r = received == (ssize_t)length ? send_whole(deliverer, bytes, length) : -EBADMSG;

	if (received > 0)
		sodium_memzero(bytes, received);
	return r;
}

int relay_reply(struct injecting *injecting, int deliverer, const struct handoff *record,
		const void *bytes, size_t length)
{
	int r;

	injecting->reply_turns = record->number;
	injecting->reply_to = record->cookie;
	r = send_whole(deliverer, bytes, length);
	injecting->reply_to = 0;
	return r;
}

bool relay_deliverer_is_broken(struct injecting *injecting, int deliverer, int error)
{
	static const struct handoff nobody = { .cookie = UINT64_MAX };
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	if (error == -EBADMSG || getsockopt(deliverer, IPPROTO_TCP, TCP_INFO, &info, &length) ||
	    info.tcpi_state != TCP_ESTABLISHED)
		return true;
	/* The other socket's error may be the same. Once a message was dropped, the kernel drops all. */
	return error == -EACCES && relay_reply(injecting, deliverer, &nobody, "", 1) == -EACCES;
}
