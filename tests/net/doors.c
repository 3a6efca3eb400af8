// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "doors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "stand_in.h"

#define GROUP_MAX   4
#define SERVERS_MAX 64
#define QUEUE	    16

static int listeners[GROUP_MAX], servers[SERVERS_MAX];
static size_t listener_count, server_count;

static void set(int fd, int level, int option, int value)
{
	assert_int_equal(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

/* The address of this host's side that a family has; of no host where any is to be bound. */
static socklen_t address_of(int family, bool any, struct sockaddr_storage *ret_address)
{
	const uint16_t port = htons(applications[THREADED].port);
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)ret_address;
	struct sockaddr_in *ip = (struct sockaddr_in *)ret_address;

	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->ss_family = family;
	if (family == AF_INET) {
		ip->sin_port = port;
		ip->sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK);
		return sizeof(*ip);
	}
	ip6->sin6_port = port;
	if (!any)
		ip6->sin6_addr = in6addr_loopback;
	return sizeof(*ip6);
}

/* A program that chooses the last of the group, for SO_ATTACH_REUSEPORT_EBPF. */
static int load_selector(void)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = GROUP_MAX - 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attributes = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
				      .insns = (uint64_t)(uintptr_t)program,
				      .insn_cnt = ARRAY_SIZE(program),
				      .license = (uint64_t)(uintptr_t) "GPL" };

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
}

static int listen_one(const struct door *door)
{
	struct sockaddr_storage address;
	socklen_t length = address_of(door->family, true, &address);
	int fd = socket(door->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, door->protocol);

	assert_true(fd >= 0);
	assert_true(listener_count < GROUP_MAX);
	listeners[listener_count++] = fd;
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (door->group)
		set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (door->family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (door->deferred)
		set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	if (door->fast_open)
		set(fd, IPPROTO_TCP, TCP_FASTOPEN, QUEUE);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(fd, QUEUE), 0);
	return fd;
}

/* What this test opened, or one that failed. */
static void close_all(void)
{
	while (server_count)
		close(servers[--server_count]);
	while (listener_count)
		close(listeners[--listener_count]);
}

int door_listen(const struct door *door)
{
	int selector;

	close_all();
	stand_in_free();
	do {
		listen_one(door);
	} while (listener_count < (size_t)door->group);
	if (door->selected) {
		selector = load_selector();
		assert_true(selector >= 0);
		set(listeners[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, selector);
		close(selector);
	}
	return listeners[0];
}

static int client_family(const struct door *door)
{
	return door->client_family ? door->client_family : door->family;
}

struct client *door_client(const struct door *door)
{
	struct client *client = client_adopt(
		socket(client_family(door), SOCK_STREAM | SOCK_CLOEXEC, door->client_protocol));

	if (door->with_handshake)
		set(client->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	return client;
}

bool door_reach(const struct door *door, const struct client *client)
{
	struct sockaddr_storage address;
	socklen_t length = address_of(client_family(door), false, &address);

	return !connect(client->fd, (struct sockaddr *)&address, length);
}

struct client *door_connect(const struct door *door, const char *bytes)
{
	struct client *client = door_client(door);
	ssize_t size = bytes ? strlen(bytes) : 0;

	if (door->fast_open && size) {
		struct sockaddr_storage address;
		socklen_t length = address_of(client_family(door), false, &address);

		assert_int_equal(sendto(client->fd, bytes, size, MSG_FASTOPEN | MSG_NOSIGNAL,
					(struct sockaddr *)&address, length),
				 size);
		return client;
	}
	if (!door_reach(door, client))
		fail_msg("%s: connecting: %s", door->name, strerror(errno));
	if (size)
		assert_int_equal(send(client->fd, bytes, size, MSG_NOSIGNAL), size);
	return client;
}

bool door_delivered(const struct client *client, unsigned int ms)
{
	uint64_t end_ms = monotonic_ms() + ms;
	int left = 1;

	do {
		assert_int_equal(ioctl(client->fd, SIOCOUTQ, &left), 0);
		breathe();
	} while (left && monotonic_ms() < end_ms);
	return !left;
}

int door_accept(unsigned int ms)
{
	struct pollfd ready[GROUP_MAX];
	int server;

	for (size_t i = 0; i < listener_count; i++)
		ready[i] = (struct pollfd){ .fd = listeners[i], .events = POLLIN };
	if (poll(ready, listener_count, ms) <= 0)
		return -1;
	for (size_t i = 0; i < listener_count; i++) {
		if (!(ready[i].revents & POLLIN))
			continue;
		server = accept4(listeners[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		assert_true(server >= 0);
		assert_true(server_count < SERVERS_MAX);
		servers[server_count++] = server;
		return server;
	}
	return -1;
}

size_t door_read(int server, unsigned int ms, char *ret_read, size_t size)
{
	uint64_t end_ms = monotonic_ms() + ms;
	size_t length = 0;
	ssize_t got;

	/* Not poll(): the first recv() asks for the verdict on what came before accept(). */
	do {
		got = recv(server, ret_read + length, size - 1 - length, 0);
		length += got > 0 ? got : 0;
		ret_read[length] = '\0';
		if (strstr(ret_read, "\r\n\r\n"))
			break;
		breathe();
	} while (monotonic_ms() < end_ms);
	return length;
}

void door_expect_gated(const char *name, struct client *client, int server, const struct key *key,
		       unsigned int ms)
{
	struct response response;
	char bytes[1024];

	assert_true(server >= 0);
	if (door_read(server, ms, bytes, sizeof(bytes)))
		fail_msg("%s: the application got: %s", name, bytes);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_refusal(&response, 401, NULL);
	client_printf(client, GOOD, key->text);
	assert_true(door_read(server, PATIENCE_MS, bytes, sizeof(bytes)) > 0);
	assert_ptr_equal(strstr(bytes, "GET /good"), bytes);
	stand_in_write(server, GOOD_REPLY);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
}

void door_leave(void)
{
	close_all();
	stand_in_leave();
}
