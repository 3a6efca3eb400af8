// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#define REPLY_BUFFER 16384

/* All states in which a connection can still carry bytes. */
#define STATES_OPEN                                                                                \
	(1U << TCP_ESTABLISHED | 1U << TCP_SYN_RECV | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 |  \
	 1U << TCP_CLOSE_WAIT | 1U << TCP_LAST_ACK | 1U << TCP_CLOSING)

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
};

static int ask(int fd, __u16 type, __u16 flags, const struct inet_diag_req_v2 *diag)
{
	struct request request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = type,
			    .nlmsg_flags = NLM_F_REQUEST | flags },
		.diag = *diag,
	};

	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* Reset one connection. One that has ended meanwhile is no error, and is not counted. */
static int reset_one(int fd, const struct inet_diag_msg *found)
{
	struct inet_diag_req_v2 diag = {
		.sdiag_family = found->idiag_family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = ~0U,
		.id = found->id,
	};
	char buffer[REPLY_BUFFER] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *header = (struct nlmsghdr *)buffer;
	ssize_t length;
	int r = ask(fd, SOCK_DESTROY, NLM_F_ACK, &diag);

	if (r)
		return r;
	length = recv(fd, buffer, sizeof(buffer), 0);
	if (length < 0)
		return -errno;
	if (!NLMSG_OK(header, length) || header->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	r = ((struct nlmsgerr *)NLMSG_DATA(header))->error;
	if (r == -ENOENT)
		return 0;
	return r ? r : 1;
}

/* Walk one family's connections, whose answers come on list, and reset those of the port on fd. */
static int reset_family(int list, int fd, int family, uint16_t port)
{
	struct inet_diag_req_v2 diag = {
		.sdiag_family = family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = STATES_OPEN,
	};
	char buffer[REPLY_BUFFER] __attribute__((aligned(NLMSG_ALIGNTO)));
	int count = 0, one, r = ask(list, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &diag);

	while (!r) {
		ssize_t left = recv(list, buffer, sizeof(buffer), 0);
		struct nlmsghdr *header = (struct nlmsghdr *)buffer;

		if (left < 0)
			return -errno;
		for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
			struct inet_diag_msg *found = NLMSG_DATA(header);

			if (header->nlmsg_type == NLMSG_DONE)
				return count;
			if (header->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
			if (ntohs(found->id.idiag_sport) != port)
				continue;
			one = reset_one(fd, found);
			if (one < 0)
				return one;
			count += one;
		}
	}
	return r;
}

int sockets_reset(uint16_t port)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int list = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int count = 0, r = 0;

	if (list < 0 || fd < 0)
		r = -errno;
	for (size_t i = 0; r >= 0 && i < sizeof(families) / sizeof(*families); i++) {
		r = reset_family(list, fd, families[i], port);
		if (r > 0)
			count += r;
	}
	if (list >= 0)
		close(list);
	if (fd >= 0)
		close(fd);
	return r < 0 ? r : count;
}
