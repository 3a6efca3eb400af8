// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the gate cannot judge reaches no application: connections from before it, or with another
 * agent's program on them, and whatever reads around the verdict. Each test starts the daemon itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent.h"
#include "doors.h"
#include "harness.h"

#define QUIET_MS 200

static const struct door plain = { .name = "IPv4", .family = AF_INET };
static const struct door dual = { .name = "IPv4 at a listener of both",
				  .family = AF_INET6,
				  .client_family = AF_INET };
static const struct door multipath = { .name = "MPTCP",
				       .family = AF_INET,
				       .protocol = IPPROTO_MPTCP,
				       .client_protocol = IPPROTO_MPTCP };
static const struct door with_handshake = { .name = "data with the handshake",
					    .family = AF_INET,
					    .with_handshake = true };

static void expect_nothing(int server, unsigned int ms)
{
	char bytes[1024];

	if (door_read(server, ms, bytes, sizeof(bytes)))
		fail_msg("the application got: %s", bytes);
}

/* Wait for a counter of the status to come to a value. */
static void expect_count(const char *name, int64_t count)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (status_number(name) < count && monotonic_ms() < end_ms)
		breathe();
	if (status_number(name) != count)
		fail_msg("%s is %ld, not %ld", name, (long)status_number(name), (long)count);
}

/* The connection does not hang: its client is told that it has ended. */
static void expect_reset(struct client *client)
{
	struct pollfd readable = { .fd = client->fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
	assert_true(recv(client->fd, &byte, 1, 0) <= 0);
}

static void expect_gated(struct client *client, int server, const struct key *key)
{
	client_printf(client, STOLEN);
	door_expect_gated("an open connection", client, server, key, QUIET_MS);
}

/* A daemon, a key, and a connection through a door, accepted. */
static struct client *open_gated(const struct door *door, struct key *ret_key, int *ret_server)
{
	struct client *client;

	daemon_start();
	*ret_key = key_limited(0, 0);
	door_listen(door);
	client = door_connect(door, NULL);
	*ret_server = door_accept(PATIENCE_MS);
	return client;
}

/* --- before the gate ------------------------------------------------------------------------------ */

static void listener_before(void **state)
{
	struct client *client;
	struct key key;
	int server;

	(void)state;
	door_listen(&dual);
	daemon_start();
	key = key_limited(0, 0);
	client = door_connect(&dual, NULL);
	server = door_accept(PATIENCE_MS);
	expect_gated(client, server, &key);
	door_leave();
}

static void connection_before(void **state)
{
	const struct door *const rows[] = { &plain, &dual, &multipath };
	struct client *clients[ARRAY_SIZE(rows)];
	int servers[ARRAY_SIZE(rows)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		door_listen(rows[i]);
		clients[i] = door_connect(rows[i], NULL);
		servers[i] = dup(door_accept(PATIENCE_MS));
		assert_true(servers[i] >= 0);
	}
	daemon_start();
	/* What the application sends on it comes to its end. */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char byte;

		assert_int_equal(send(servers[i], "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(recv(clients[i]->fd, &byte, 1, 0), 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		client_printf(clients[i], STOLEN);
		expect_nothing(servers[i], QUIET_MS);
		if (rows[i] != &multipath)
			expect_reset(clients[i]);
		expect_nothing(servers[i], QUIET_MS);
		close(servers[i]);
	}
	expect_count("counts.ungatedBefore", ARRAY_SIZE(rows));
	expect_count("counts.ungatedReset", ARRAY_SIZE(rows));
	assert_true(status_number("counts.guardDropped") >= (int)ARRAY_SIZE(rows));
	door_leave();
}

/* Bytes come while the daemon is away: the next one ends what they came on. */
static void without_daemon(void **state)
{
	struct client *client;
	int server;

	(void)state;
	door_listen(&plain);
	client = door_connect(&plain, NULL);
	server = door_accept(PATIENCE_MS);
	daemon_start();
	daemon_kill();
	client_printf(client, STOLEN);
	expect_nothing(server, QUIET_MS);
	daemon_start();
	expect_reset(client);
	expect_nothing(server, QUIET_MS);
	expect_count("counts.ungatedReset", 1);
	door_leave();
}

/* --- another agent ------------------------------------------------------------------------------- */

static void agent_first(enum agent_kind kind)
{
	struct agent agent = agent_open(kind);
	struct client *client;
	struct key key;
	int server;

	agent_attach(&agent);
	daemon_start();
	key = key_limited(0, 0);
	door_listen(&plain);
	client = door_connect(&plain, NULL);
	server = door_accept(PATIENCE_MS);
	client_printf(client, GOOD, key.text);
	expect_nothing(server, QUIET_MS);
	expect_reset(client);
	expect_count("counts.ungatedAgent", 1);
	expect_count("counts.ungatedReset", 1);
	/* From now on not even what comes with a handshake gets in. */
	for (int i = 0; i < 3; i++) {
		client = door_connect(&with_handshake, STOLEN);
		server = door_accept(QUIET_MS);
		if (server >= 0)
			expect_nothing(server, QUIET_MS);
	}
	assert_true(status_number("counts.turnedAwayData") >= 3);
	/* Once it is gone, all is as before. */
	agent_detach(&agent);
	door_listen(&plain);
	client = door_connect(&plain, NULL);
	server = door_accept(PATIENCE_MS);
	expect_gated(client, server, &key);
	agent_close(&agent);
	door_leave();
}

static void agent_of_messages(void **state)
{
	(void)state;
	agent_first(AGENT_MESSAGES);
}

static void agent_of_buffers(void **state)
{
	(void)state;
	agent_first(AGENT_BUFFERS);
}

/* One that comes after the gate is told that it cannot, and the gate stands. */
static void agent_later(void **state)
{
	struct client *client;
	struct key key;
	int server;

	(void)state;
	client = open_gated(&plain, &key, &server);
	for (enum agent_kind kind = AGENT_MESSAGES; kind <= AGENT_BUFFERS; kind++) {
		struct agent agent = agent_open(kind);
		uint64_t cookie = 1, value = server;

		assert_true(bpf_map_update_elem(agent.map, &cookie, &value, BPF_ANY) < 0);
		assert_int_equal(errno, EBUSY);
		agent_close(&agent);
	}
	expect_gated(client, server, &key);
	door_leave();
}

/* --- around the verdict -------------------------------------------------------------------------- */

static ssize_t by_peek(int fd, void *bytes, size_t size)
{
	return recv(fd, bytes, size, MSG_PEEK);
}

static ssize_t by_peek_offset(int fd, void *bytes, size_t size)
{
	const int offset = 0;

	setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
	return recv(fd, bytes, size, MSG_PEEK);
}

static ssize_t by_out_of_band(int fd, void *bytes, size_t size)
{
	return recv(fd, bytes, size, MSG_OOB);
}

static ssize_t by_truncation(int fd, void *bytes, size_t size)
{
	return recv(fd, bytes, size, MSG_TRUNC);
}

static ssize_t by_recvmmsg(int fd, void *bytes, size_t size)
{
	struct iovec place = { bytes, size };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &place, .msg_iovlen = 1 } };

	return recvmmsg(fd, &message, 1, 0, NULL) == 1 ? (ssize_t)message.msg_len : -1;
}

static ssize_t by_readv(int fd, void *bytes, size_t size)
{
	struct iovec place = { bytes, size };

	return readv(fd, &place, 1);
}

static ssize_t by_zero_copy(int fd, void *bytes, size_t size)
{
	struct tcp_zerocopy_receive taken = { .copybuf_address = (uint64_t)(uintptr_t)bytes,
					      .copybuf_len = size };
	socklen_t length = sizeof(taken);

	if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &taken, &length))
		return -1;
	return taken.copybuf_len;
}

/* A call that the application's first look at a connection may be. */
struct reading {
	const char *name;
	ssize_t (*read)(int fd, void *bytes, size_t size);
};

static void read_calls(void **state)
{
	static const struct reading rows[] = {
		{ "MSG_PEEK", by_peek },
		{ "SO_PEEK_OFF", by_peek_offset },
		{ "MSG_OOB", by_out_of_band },
		{ "MSG_TRUNC", by_truncation },
		{ "recvmmsg()", by_recvmmsg },
		{ "readv()", by_readv },
		{ "TCP_ZEROCOPY_RECEIVE", by_zero_copy },
	};
	char bytes[1024];

	(void)state;
	daemon_start();
	door_listen(&plain);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* The last byte is urgent. */
		for (int urgent = 0; urgent < 2; urgent++) {
			struct client *client = door_connect(&plain, urgent ? NULL : STOLEN);
			int server;

			if (urgent)
				send(client->fd, STOLEN, strlen(STOLEN), MSG_OOB);
			door_delivered(client, PATIENCE_MS);
			server = door_accept(PATIENCE_MS);
			if (rows[i].read(server, bytes, sizeof(bytes)) > 0)
				fail_msg("%s lets the application read", rows[i].name);
			expect_nothing(server, QUIET_MS / 4);
			client_close(client);
		}
	}
	door_leave();
}

/* Sockets that are not gated have it. */
static void expect_free_to_use(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;
	struct client *client = door_client(&plain);
	socklen_t length = sizeof(address);
	char bytes[64];

	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(connect(client->fd, (struct sockaddr *)&address, length), 0);
	client_printf(client, "bytes");
	assert_true(door_delivered(client, PATIENCE_MS));
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(by_zero_copy(server, bytes, sizeof(bytes)), 5);
	close(server);
	close(listener);
}

static void zero_copy(void **state)
{
	struct client *client;
	struct key key;
	char bytes[1024];
	int server;

	(void)state;
	/* What was judged is read without it. */
	client = open_gated(&plain, &key, &server);
	client_printf(client, GOOD, key.text);
	door_delivered(client, PATIENCE_MS);
	assert_int_equal(by_zero_copy(server, bytes, sizeof(bytes)), -1);
	assert_int_equal(errno, ENOPROTOOPT);
	assert_true(door_read(server, PATIENCE_MS, bytes, sizeof(bytes)) > 0);
	assert_int_equal(status_number("counts.readUnjudged"), 0);
	/* What was not is lost, and the connection with it. */
	client = door_connect(&plain, STOLEN);
	door_delivered(client, PATIENCE_MS);
	server = door_accept(PATIENCE_MS);
	assert_int_equal(by_zero_copy(server, bytes, sizeof(bytes)), -1);
	assert_int_equal(errno, ENOPROTOOPT);
	assert_int_equal(status_number("counts.readUnjudged"), 1);
	client_printf(client, GOOD, key.text);
	expect_nothing(server, QUIET_MS);
	send(server, GOOD_REPLY, strlen(GOOD_REPLY), MSG_NOSIGNAL);
	assert_true(recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0);
	expect_free_to_use();
	door_leave();
}

static ssize_t by_splice(int fd, int pipe)
{
	return splice(fd, NULL, pipe, NULL, 4096, SPLICE_F_NONBLOCK);
}

static ssize_t by_sendfile(int fd, int pipe)
{
	return sendfile(pipe, fd, NULL, 4096);
}

/* What came before accept() is read without a verdict; but that is all. */
static void spliced(void **state)
{
	ssize_t (*const calls[])(int fd, int pipe) = { by_splice, by_sendfile };
	struct key key;
	int pipes[2];
	char byte;

	(void)state;
	daemon_start();
	key = key_limited(0, 0);
	door_listen(&plain);
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct client *client = door_connect(&plain, STOLEN);
		int server;

		assert_true(door_delivered(client, PATIENCE_MS));
		server = door_accept(PATIENCE_MS);
		calls[i](server, pipes[1]);
		client_printf(client, GOOD, key.text);
		expect_nothing(server, QUIET_MS);
		for (int answer = 0; answer < 2; answer++)
			send(server, GOOD_REPLY, strlen(GOOD_REPLY), MSG_NOSIGNAL);
		assert_true(recv(client->fd, &byte, 1, MSG_DONTWAIT) <= 0);
		assert_int_equal(status_number("counts.readUnjudged"), i + 1);
	}
	close(pipes[0]);
	close(pipes[1]);
	door_leave();
}

static const struct promise promises[] = {
	{ "a listener from before the gate is gated", listener_before, ONCE },
	{ "a connection from before the gate: nothing gets in, and it is reset", connection_before,
	  ONCE },
	{ "what came by while the daemon was away is reset by the next", without_daemon, ONCE },
	{ "an agent with a message program came first: nothing gets in", agent_of_messages, ONCE },
	{ "an agent with a verdict program came first: nothing gets in", agent_of_buffers, ONCE },
	{ "an agent that comes later takes nothing from the gate", agent_later, ONCE },
	{ "no call reads what was not judged, urgent data or not", read_calls, ONCE },
	{ "TCP_ZEROCOPY_RECEIVE is denied, on gated sockets alone", zero_copy, ONCE },
	{ "an application that reads with splice() or sendfile() is cut off", spliced, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
