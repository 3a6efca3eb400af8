// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "relay_hand.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 8U
#endif

/* Connections that wait: anybody may connect, and is let go of unheard. */
#define BACKLOG 64

/* What the message says. Another order or number of descriptors needs another version. */
#define VERSION	    1
#define DESCRIPTORS 3
_Static_assert(sizeof(struct relay_hand) == DESCRIPTORS * sizeof(int), "sent as it is");

/* A message of this version with room for its descriptors. */
struct message {
	uint32_t version;
	struct iovec piece;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct relay_hand))];
	struct msghdr header;
};

static void begin_message(struct message *ret_message)
{
	*ret_message = (struct message){ .version = VERSION };
	ret_message->piece = (struct iovec){ &ret_message->version, sizeof(ret_message->version) };
	ret_message->header = (struct msghdr){
		.msg_iov = &ret_message->piece,
		.msg_iovlen = 1,
		.msg_control = ret_message->control,
		/* Padding would be room for one more descriptor. */
		.msg_controllen = CMSG_LEN(sizeof(struct relay_hand)),
	};
}

static int path_of_link(const char *pin_folder, char ret_path[PATH_MAX])
{
	int length = snprintf(ret_path, PATH_MAX, "%s/" RELAY_HEIR, pin_folder);

	return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Whether the other end is of this user, which is root. */
static bool is_of_us(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == geteuid();
}

/* --- the daemon's side ------------------------------------------------------------------------- */

/* Bind to a name of the kernel's choice, and tell it. It begins with a NUL, unix(7). */
static int bind_anywhere(int fd, const char *link)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(address);

	if (bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) || listen(fd, BACKLOG))
		return -errno;
	memset(&address, 0, sizeof(address));
	if (getsockname(fd, (struct sockaddr *)&address, &length))
		return -errno;
	address.sun_path[sizeof(address.sun_path) - 1] = '\0';
	if (unlink(link) && errno != ENOENT)
		return -errno;
	return symlink(address.sun_path + 1, link) ? -errno : 0;
}

int relay_hand_listen(const char *pin_folder)
{
	_cleanup_close_ int fd = open_socket();
	char link[PATH_MAX];
	int r = fd < 0 ? fd : path_of_link(pin_folder, link);

	if (!r)
		r = bind_anywhere(fd, link);
	if (r)
		return r;
	r = fd;
	fd = -1;
	return r;
}

int relay_hand_accept(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return -errno;
		if (is_of_us(fd))
			return fd;
		close(fd);
	}
}

/* --- the relays' ------------------------------------------------------------------------------- */

static int connect_to(int fd, const char *link)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	ssize_t length = readlink(link, address.sun_path + 1, sizeof(address.sun_path) - 2);

	if (length < 0 || connect(fd, (struct sockaddr *)&address,
				  offsetof(struct sockaddr_un, sun_path) + 1 + length))
		return -errno;
	return is_of_us(fd) ? 0 : -EPERM;
}

int relay_hand_send(const char *pin_folder, const struct relay_hand *hand)
{
	_cleanup_close_ int fd = open_socket();
	struct message message;
	struct cmsghdr *rights;
	char link[PATH_MAX];
	int r = fd < 0 ? fd : path_of_link(pin_folder, link);

	if (!r)
		r = connect_to(fd, link);
	if (r)
		return r;
	begin_message(&message);
	rights = CMSG_FIRSTHDR(&message.header);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(*hand));
	memcpy(CMSG_DATA(rights), hand, sizeof(*hand));
	return sendmsg(fd, &message.header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Take all descriptors, so that none is left open, whatever the message is. */
static bool take_descriptors(struct msghdr *header, struct relay_hand *ret_hand)
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(header);
	int descriptors[DESCRIPTORS];
	size_t count;

	if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
		return false;
	count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(descriptors, CMSG_DATA(rights), count * sizeof(int));
	if (count == DESCRIPTORS) {
		memcpy(ret_hand, descriptors, sizeof(*ret_hand));
		return true;
	}
	for (size_t i = 0; i < count; i++)
		close(descriptors[i]);
	return false;
}

int relay_hand_receive(int fd, struct relay_hand *ret_hand)
{
	struct message message;
	ssize_t length;

	*ret_hand = RELAY_HAND_NONE;
	begin_message(&message);
	length = recvmsg(fd, &message.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (length < 0)
		return -errno;
	if (take_descriptors(&message.header, ret_hand) && length == sizeof(message.version) &&
	    message.version == VERSION && !(message.header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	relay_hand_close(ret_hand);
	return -EPROTO;
}

int relay_hand_memory(void)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("sluiced-relay", flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("sluiced-relay", flags);
	return fd < 0 ? -errno : fd;
}

void relay_hand_close(struct relay_hand *hand)
{
	close_descriptor(&hand->state);
	close_descriptor(&hand->sink[0]);
	close_descriptor(&hand->sink[1]);
	*hand = RELAY_HAND_NONE;
}
