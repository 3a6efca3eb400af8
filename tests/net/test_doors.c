// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Each way that a connection can come about, and each process that may get it: gated. A request
 * without a key is sent, and must not reach the application; then one with a key, which must.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doors.h"
#include "harness.h"

#define QUIET_MS 100

static const struct door doors[] = {
	{ .name = "IPv4", .family = AF_INET },
	{ .name = "IPv6", .family = AF_INET6 },
	{ "IPv4 at a listener of both", AF_INET6, .client_family = AF_INET },
	{ "TCP at an MPTCP listener", AF_INET, .protocol = IPPROTO_MPTCP },
	{ "TCP over IPv6 at an MPTCP listener", AF_INET6, .protocol = IPPROTO_MPTCP },
	{ "MPTCP at a TCP listener", AF_INET, .client_protocol = IPPROTO_MPTCP },
	{ "MPTCP at an MPTCP listener", AF_INET, .protocol = IPPROTO_MPTCP,
	  .client_protocol = IPPROTO_MPTCP },
	{ "a group of four listeners", AF_INET, .group = 4 },
	{ "a group of four listeners, chosen by a program", AF_INET, .group = 4, .selected = true },
	{ "a group of four listeners, IPv6", AF_INET6, .group = 4 },
	{ "data with the handshake", AF_INET, .with_handshake = true },
	{ "data with the handshake, IPv6", AF_INET6, .with_handshake = true },
	{ "TCP_DEFER_ACCEPT", AF_INET, .deferred = true },
	{ "TCP_DEFER_ACCEPT, IPv6, data with the handshake", AF_INET6, .deferred = true,
	  .with_handshake = true },
};

static void write_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	close(fd);
}

/* The bytes come before accept(). */
static void try_early(const struct door *door, const struct key *key)
{
	struct client *client = door_connect(door, STOLEN);

	door_delivered(client, PATIENCE_MS);
	door_expect_gated(door->name, client, door_accept(PATIENCE_MS), key, QUIET_MS);
}

static void try_late(const struct door *door, const struct key *key)
{
	struct client *client = door_connect(door, NULL);
	int server = door_accept(PATIENCE_MS);

	client_printf(client, STOLEN);
	door_delivered(client, PATIENCE_MS);
	door_expect_gated(door->name, client, server, key, QUIET_MS);
}

/*
 * Clients give up MPTCP where it is turned away. Those of a kernel before 6.12 do not, and cannot
 * connect; nor do they know of Fast Open with MPTCP.
 */
static bool is_shut(const struct door *door)
{
	return door->protocol == IPPROTO_MPTCP && door->client_protocol == IPPROTO_MPTCP &&
	       !kernel_is(6, 12);
}

static void try_shut(const struct door *door)
{
	struct client *client = door_client(door);

	door_listen(door);
	assert_false(door_reach(door, client));
	assert_int_equal(door_accept(QUIET_MS), -1);
}

static unsigned int try_door(const struct door *door, const struct key *key)
{
	bool early_only = door->deferred || door->with_handshake || door->fast_open;

	if (is_shut(door)) {
		try_shut(door);
		return 0;
	}
	door_listen(door);
	try_early(door, key);
	if (!early_only)
		try_late(door, key);
	return early_only ? 1 : 2;
}

static void expect_used(const struct key *key, unsigned int count)
{
	unsigned int minute, day;

	key_used(key, &minute, &day);
	assert_int_equal(day, count);
}

static void each_gated(void **state)
{
	struct key key = key_limited(1000, 10000);
	unsigned int count = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(doors); i++)
		count += try_door(&doors[i], &key);
	expect_used(&key, count);
	assert_true(status_number("counts.turnedAwayMptcp") > 0);
	door_leave();
}

/* Without room in the listener's table the handshake's last packet is all that is left of it. */
static void syn_cookies(void **state)
{
	struct key key = key_limited(1000, 10000);
	unsigned int count = 0;

	(void)state;
	write_sysctl("tcp_syncookies", "2");
	for (size_t i = 0; i < ARRAY_SIZE(doors); i++)
		count += try_door(&doors[i], &key);
	write_sysctl("tcp_syncookies", "1");
	expect_used(&key, count);
	door_leave();
}

/* The client's kernel remembers the cookie that the first connection got, and sends data with it. */
static void fast_open(void **state)
{
	static const struct door rows[] = {
		{ "Fast Open", AF_INET, .fast_open = true },
		{ "Fast Open, IPv6", AF_INET6, .fast_open = true },
		{ "Fast Open, MPTCP", AF_INET, .fast_open = true, .protocol = IPPROTO_MPTCP,
		  .client_protocol = IPPROTO_MPTCP },
	};
	struct key key = key_limited(1000, 10000);
	unsigned int count = 0;
	int64_t before = status_number("counts.turnedAwayFastOpen");

	(void)state;
	write_sysctl("tcp_fastopen", "3");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (is_shut(&rows[i]))
			continue;
		door_listen(&rows[i]);
		for (int round = 0; round < 3; round++, count++)
			try_early(&rows[i], &key);
	}
	assert_true(status_number("counts.turnedAwayFastOpen") > before);
	expect_used(&key, count);
	door_leave();
}

/* The client sends, and is gone before the application has accepted. */
static void reset_early(void **state)
{
	char bytes[1024];
	int server;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		door_listen(&doors[i]);
		for (int accepted = 0; accepted < 2; accepted++) {
			struct client *client = door_connect(&doors[i], STOLEN);

			assert_true(door_delivered(client, PATIENCE_MS));
			server = accepted ? door_accept(PATIENCE_MS) : -1;
			client_abort(client);
			if (!accepted)
				server = door_accept(PATIENCE_MS);
			assert_true(server >= 0);
			if (door_read(server, QUIET_MS, bytes, sizeof(bytes)))
				fail_msg("the application got: %s", bytes);
		}
	}
	door_leave();
}

/* --- other processes ----------------------------------------------------------------------------- */

/* How a socket comes to another process. */
struct hand_over {
	const char *name;
	bool accepted; /* the connection's, else the listener's */
	bool message;  /* by SCM_RIGHTS, else by fork() */
};

static void send_socket(int to, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = "", byte = 0;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	assert_int_equal(sendmsg(to, &message, 0), 1);
}

static int receive_socket(int from)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* The other process: serve one request, and report what it was. */
static void serve_elsewhere(const struct hand_over *how, int fd, int talk)
{
	struct pollfd ready;
	char bytes[1024];
	size_t length;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (how->message)
		fd = receive_socket(talk);
	ready = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (!how->accepted && poll(&ready, 1, PATIENCE_MS) == 1)
		fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	length = door_read(fd, PATIENCE_MS, bytes, sizeof(bytes));
	send(fd, GOOD_REPLY, strlen(GOOD_REPLY), MSG_NOSIGNAL);
	send(talk, bytes, length, 0);
	_exit(0);
}

static void try_hand_over(const struct hand_over *how, const struct key *key)
{
	int listener = door_listen(&doors[0]), fd = listener, talk[2];
	struct client *client = NULL;
	struct response response;
	char bytes[1024] = "";
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
	if (how->accepted) {
		client = door_connect(&doors[0], STOLEN);
		fd = door_accept(PATIENCE_MS);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		serve_elsewhere(how, fd, talk[1]);
	if (how->message)
		send_socket(talk[0], fd);
	if (!client)
		client = door_connect(&doors[0], STOLEN);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_refusal(&response, 401, NULL);
	client_printf(client, GOOD, key->text);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
	assert_true(recv(talk[0], bytes, sizeof(bytes) - 1, 0) > 0);
	if (strstr(bytes, "GET /good") != bytes)
		fail_msg("%s: the application got: %s", how->name, bytes);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(talk[0]);
	close(talk[1]);
}

static void other_processes(void **state)
{
	static const struct hand_over ways[] = {
		{ "a listener by fork", false, false },
		{ "a listener by message", false, true },
		{ "a connection by fork", true, false },
		{ "a connection by message", true, true },
	};
	struct key key = key_limited(1000, 10000);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		try_hand_over(&ways[i], &key);
	expect_used(&key, ARRAY_SIZE(ways));
	door_leave();
}

/* Made by one program, served by another that it runs. */
static void socket_activation(void **state)
{
	const struct application *application = &applications[THREADED];
	struct key key = key_limited(1000, 10000);
	int listener = fcntl(door_listen(&doors[0]), F_DUPFD, 100);
	char program[320], number[16], log[160];
	struct client *client;
	pid_t pid;

	(void)state;
	assert_true(listener >= 0);
	/* The program expects one that blocks. */
	assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
	snprintf(program, sizeof(program), "%s/build/test/tests/net/app_threaded", stage.root);
	snprintf(number, sizeof(number), "%d", listener);
	snprintf(log, sizeof(log), "%s/output.log", application->folder);
	pid = process_start(log, (char *[]){ program, "0", (char *)application->folder,
					     "--listener", number, NULL });
	close(listener);
	client = door_connect(&doors[0], NULL);
	assert_int_equal(client_get(client, "/activated-stolen", NULL), 401);
	assert_int_equal(client_get(client, "/activated-good", key.text), 200);
	expect_seen(application, "/activated-good", 1);
	expect_seen(application, "/activated-stolen", 0);
	process_stop(pid, SIGTERM);
	door_leave();
}

static const struct promise promises[] = {
	{ "each way in is gated, before accept() and after", each_gated, ONCE },
	{ "each way in is gated with SYN cookies, too", syn_cookies, ONCE },
	{ "data in a SYN is turned away, and gated when it comes again", fast_open, ONCE },
	{ "what came before a reset is not read", reset_early, ONCE },
	{ "sockets that another process gets are gated", other_processes, ONCE },
	{ "a listener that was handed down is gated", socket_activation, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
