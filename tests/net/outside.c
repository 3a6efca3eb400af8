// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "outside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#define CLIENT_INTERFACE "client0"
#define CLIENTS		 9 /* the last is 10.77.0.9 */
#define WORDS_MAX	 16

static int stage_namespace = -1, outside_namespace = -1;
static bool is_outside;

/* Without a shell: that of busybox has commands of its own. */
static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char command[512], whole[512], *words[WORDS_MAX + 1], *rest = command;
	va_list arguments;
	size_t count = 0;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	strcpy(whole, command);
	while (count < WORDS_MAX && (words[count] = strsep(&rest, " ")))
		count++;
	words[count] = NULL;
	if (process_stop(process_start(NULL, words), 0))
		fail_msg("%s", whole);
}

static int open_namespace(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void enter(int namespace)
{
	assert_int_equal(setns(namespace, CLONE_NEWNET), 0);
}

void outside_enter(void)
{
	enter(outside_namespace);
	is_outside = true;
}

void outside_leave(void)
{
	enter(stage_namespace);
	is_outside = false;
}

/* "nodad": an address is used at once, as nobody else can have it. */
static void set_up_stage(void)
{
	run("ip address add " OUTSIDE_SERVER "/24 dev " OUTSIDE_INTERFACE);
	run("ip address add " OUTSIDE_SERVER6 "/64 dev " OUTSIDE_INTERFACE " nodad");
	run("ip link set " OUTSIDE_INTERFACE " up");
	run("ip route add 2001:db8:78::/47 dev " OUTSIDE_INTERFACE);
}

static void set_up_outside(void)
{
	static const char *const addresses[] = { OUTSIDE_BAD6, OUTSIDE_BESIDE6, OUTSIDE_GOOD6 };

	for (int i = 2; i <= CLIENTS; i++)
		run("ip address add 10.77.0.%d/24 dev " CLIENT_INTERFACE, i);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		run("ip address add %s/64 dev " CLIENT_INTERFACE " nodad", addresses[i]);
	run("ip link set " CLIENT_INTERFACE " up");
	run("ip route add 2001:db8:77::/64 dev " CLIENT_INTERFACE);
}

void outside_make(void)
{
	if (outside_namespace >= 0)
		return;
	stage_namespace = open_namespace();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	outside_namespace = open_namespace();
	outside_leave();
	run("ip link add " OUTSIDE_INTERFACE " type veth peer name " CLIENT_INTERFACE
	    " netns /proc/%d/fd/%d",
	    getpid(), outside_namespace);
	set_up_stage();
	outside_enter();
	set_up_outside();
	outside_leave();
}

static socklen_t make_address(const char *text, uint16_t port, struct sockaddr_storage *ret_address)
{
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)ret_address;
	struct sockaddr_in *ip = (struct sockaddr_in *)ret_address;

	memset(ret_address, 0, sizeof(*ret_address));
	if (inet_pton(AF_INET6, text, &ip6->sin6_addr) == 1) {
		ip6->sin6_family = AF_INET6;
		ip6->sin6_port = htons(port);
		return sizeof(*ip6);
	}
	assert_int_equal(inet_pton(AF_INET, text, &ip->sin_addr), 1);
	ip->sin_family = AF_INET;
	ip->sin_port = htons(port);
	return sizeof(*ip);
}

/* Whether a connection comes about. */
static bool await_connection(int fd, unsigned int ms)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int error = 0;

	return poll(&writable, 1, ms) == 1 &&
	       !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) && !error;
}

int outside_begin(const char *address, uint16_t port)
{
	struct sockaddr_storage from, to;
	socklen_t length = make_address(address, 0, &from);
	int fd;

	make_address(from.ss_family == AF_INET6 ? OUTSIDE_SERVER6 : OUTSIDE_SERVER, port, &to);
	if (!is_outside)
		enter(outside_namespace);
	fd = socket(from.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!is_outside)
		enter(stage_namespace);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, length), 0);
	assert_true(!connect(fd, (struct sockaddr *)&to, length) || errno == EINPROGRESS);
	return fd;
}

struct client *outside_connect(const char *address, uint16_t port, unsigned int ms)
{
	int fd = outside_begin(address, port);

	if (!await_connection(fd, ms)) {
		close(fd);
		return NULL;
	}
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	return client_adopt(fd);
}

void outside_send_frame(const void *frame, size_t size)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	int fd;

	outside_enter();
	to.sll_ifindex = if_nametoindex(CLIENT_INTERFACE);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	outside_leave();
	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, frame, size, 0, (struct sockaddr *)&to, sizeof(to)), size);
	close(fd);
}
