// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

#include "../bpf/abi.h"

#define REPLY_BUFFER 16384
/* Walks through the connections. New ones may come in all the time. */
#define ROUNDS_MAX 8

/* All states in which a connection can still carry bytes. */
#define STATES_OPEN                                                                                \
	(1U << TCP_ESTABLISHED | 1U << TCP_SYN_RECV | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 |  \
	 1U << TCP_CLOSE_WAIT | 1U << TCP_LAST_ACK | 1U << TCP_CLOSING)

/* Which connections are wanted: those of a port, or, where that is 0, those that are listed. */
struct wanted {
	uint16_t port;
	const uint64_t *cookies; /* ascending */
	size_t count;
	bool ungated_only;
	int marks; /* the map, where ungated_only */
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
	/* For each connection's mark: a nest of one number. */
	struct rtattr storages;
	struct rtattr map;
	__u32 marks;
};

static int send_request(int fd, struct request *request, size_t length)
{
	request->header.nlmsg_len = length;
	return send(fd, request, length, 0) < 0 ? -errno : 0;
}

/* Ask for all connections of a family, with their marks where they are wanted. */
static int ask_for_all(int fd, int family, const struct wanted *wanted)
{
	struct request request = {
		.header = { .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.diag = { .sdiag_family = family,
			  .sdiag_protocol = IPPROTO_TCP,
			  .idiag_states = STATES_OPEN },
		.storages = { .rta_type = INET_DIAG_REQ_SK_BPF_STORAGES,
			      .rta_len = RTA_LENGTH(RTA_LENGTH(sizeof(__u32))) },
		.map = { .rta_type = SK_DIAG_BPF_STORAGE_REQ_MAP_FD,
			 .rta_len = RTA_LENGTH(sizeof(__u32)) },
		.marks = wanted->marks,
	};

	return send_request(fd, &request,
			    wanted->ungated_only ? sizeof(request)
						 : offsetof(struct request, storages));
}

/* Reset one connection. One that has ended meanwhile is no error, and is not counted. */
static int reset_one(int fd, const struct inet_diag_msg *found)
{
	struct request request = {
		.header = { .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.diag = { .sdiag_family = found->idiag_family,
			  .sdiag_protocol = IPPROTO_TCP,
			  .idiag_states = ~0U,
			  .id = found->id },
	};
	char buffer[REPLY_BUFFER] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *header = (struct nlmsghdr *)buffer;
	ssize_t length;
	int r = send_request(fd, &request, offsetof(struct request, storages));

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

static int compare_cookies(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static uint64_t cookie_of(const struct inet_diag_sockid *id)
{
	return (uint64_t)id->idiag_cookie[1] << 32 | id->idiag_cookie[0];
}

static bool is_wanted(const struct wanted *wanted, const struct inet_diag_sockid *id)
{
	const uint64_t cookie = cookie_of(id);

	if (wanted->port)
		return ntohs(id->idiag_sport) == wanted->port;
	return bsearch(&cookie, wanted->cookies, wanted->count, sizeof(cookie), compare_cookies);
}

/* What a walk through the connections found. */
struct found {
	struct inet_diag_msg *connections;
	size_t count, room;
	bool incomplete; /* the kernel's tables changed meanwhile; some may have been passed over */
};

static int note(struct found *found, const struct inet_diag_msg *connection)
{
	size_t room = found->room ? 2 * found->room : 64;
	struct inet_diag_msg *grown;

	if (found->count == found->room) {
		grown = reallocarray(found->connections, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		found->connections = grown;
		found->room = room;
	}
	found->connections[found->count++] = *connection;
	return 0;
}

/* Go to the attribute of that type in *at, *left bytes. Returns false where there is none. */
static bool enter(struct rtattr **at, int *left, int type)
{
	struct rtattr *attribute = *at;

	for (int rest = *left; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
		if ((attribute->rta_type & NLA_TYPE_MASK) != type)
			continue;
		*left = RTA_PAYLOAD(attribute);
		*at = RTA_DATA(attribute);
		return true;
	}
	return false;
}

/* Whether a connection's mark, in its message of the walk, says that it is not gated. */
static bool is_ungated(const struct nlmsghdr *header)
{
	const size_t fixed = NLMSG_SPACE(sizeof(struct inet_diag_msg));
	struct rtattr *at = (struct rtattr *)((char *)header + fixed);
	int left = header->nlmsg_len - fixed;
	struct socket_mark mark;

	if (!enter(&at, &left, INET_DIAG_SK_BPF_STORAGES) ||
	    !enter(&at, &left, SK_DIAG_BPF_STORAGE) ||
	    !enter(&at, &left, SK_DIAG_BPF_STORAGE_MAP_VALUE) || left < (int)sizeof(mark))
		return false;
	memcpy(&mark, at, sizeof(mark));
	return mark.state == MARK_UNGATED;
}

/* Note those that are wanted in one message of the walk. Returns 1 at its end. */
static int read_message(const struct nlmsghdr *header, const struct wanted *wanted,
			struct found *found)
{
	const struct inet_diag_msg *connection = NLMSG_DATA(header);

	if (header->nlmsg_flags & NLM_F_DUMP_INTR)
		found->incomplete = true;
	if (header->nlmsg_type == NLMSG_DONE)
		return 1;
	if (header->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
	if (!is_wanted(wanted, &connection->id) || (wanted->ungated_only && !is_ungated(header)))
		return 0;
	return note(found, connection);
}

/* Walk one family's connections and add those that are wanted to found. */
static int walk(int fd, int family, const struct wanted *wanted, struct found *found)
{
	char buffer[REPLY_BUFFER] __attribute__((aligned(NLMSG_ALIGNTO)));
	int r = ask_for_all(fd, family, wanted);

	while (!r) {
		ssize_t left = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *header = (struct nlmsghdr *)buffer;

		if (left < 0)
			return -errno;
		for (; !r && NLMSG_OK(header, left); header = NLMSG_NEXT(header, left))
			r = read_message(header, wanted, found);
	}
	return r < 0 ? r : 0;
}

static int walk_all(int fd, const struct wanted *wanted, struct found *found)
{
	int r = walk(fd, AF_INET, wanted, found);

	return r ? r : walk(fd, AF_INET6, wanted, found);
}

/*
 * Walk through the connections that are wanted, then reset what was found: a walk during which some go
 * passes over others. ret_more says whether there was something to do.
 *
 * Returns how many were reset, or a negative errno.
 */
static int reset_round(int fd, const struct wanted *wanted, bool *ret_more)
{
	struct found found = { 0 };
	int count = 0, r = walk_all(fd, wanted, &found);

	for (size_t i = 0; r >= 0 && i < found.count; i++) {
		r = reset_one(fd, &found.connections[i]);
		if (r > 0)
			count++;
	}
	*ret_more = found.count || found.incomplete;
	free(found.connections);
	return r < 0 ? r : count;
}

static int reset_all(const struct wanted *wanted)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int count = 0, r = 0;
	bool more = true;

	if (fd < 0)
		return -errno;
	for (int round = 0; r >= 0 && more && round < ROUNDS_MAX; round++) {
		r = reset_round(fd, wanted, &more);
		if (r > 0)
			count += r;
	}
	close(fd);
	return r < 0 ? r : count;
}

int sockets_reset(uint16_t port)
{
	return reset_all(&(struct wanted){ .port = port });
}

int sockets_reset_some(uint64_t *cookies, size_t count)
{
	qsort(cookies, count, sizeof(*cookies), compare_cookies);
	return reset_all(&(struct wanted){ .cookies = cookies, .count = count });
}

int sockets_reset_ungated(uint16_t port, int marks)
{
	return reset_all(&(struct wanted){ .port = port, .ungated_only = true, .marks = marks });
}

int sockets_find(uint64_t *cookies, size_t count, bool *ret_found)
{
	const struct wanted wanted = { .cookies = cookies, .count = count };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), r;
	struct found found = { 0 };

	if (fd < 0)
		return -errno;
	qsort(cookies, count, sizeof(*cookies), compare_cookies);
	memset(ret_found, 0, count * sizeof(*ret_found));
	r = walk_all(fd, &wanted, &found);
	for (size_t i = 0; i < found.count; i++) {
		const uint64_t cookie = cookie_of(&found.connections[i].id);
		const uint64_t *at =
			bsearch(&cookie, cookies, count, sizeof(cookie), compare_cookies);

		ret_found[at - cookies] = true;
	}
	if (!r && found.incomplete)
		r = -EAGAIN;
	free(found.connections);
	close(fd);
	return r;
}
