// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "relay_hand.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 8U
#endif

/* The socket, in a folder where only this user may come. */
#define SOCKET "relay.socket"

/* Connections that wait. One is made; another user's, which only root can make, is let go of unheard. */
#define BACKLOG 8

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

/*
 * Open the folder that the link tells. Its descriptor makes a path that fits into an address, however
 * long the folder's own is.
 */
static int open_folder(const char *pin_folder)
{
	char link[PATH_MAX];
	int fd, r = path_of_link(pin_folder, link);

	if (r)
		return r;
	fd = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static struct sockaddr_un address_in(int folder)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SOCKET, folder);
	return address;
}

/* Whether the other end is of this user. */
static bool is_of_us(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == geteuid();
}

/* --- the daemon's side ------------------------------------------------------------------------- */

/* Tell where the socket will be. */
static int make_link(const char *pin_folder, const char *socket_folder)
{
	char link[PATH_MAX], folder[PATH_MAX];
	int r = path_of_link(pin_folder, link);

	if (r)
		return r;
	if (!realpath(socket_folder, folder) || (unlink(link) && errno != ENOENT))
		return -errno;
	return symlink(folder, link) ? -errno : 0;
}

/* Nobody can connect before it listens. */
static int bind_in(int fd, int folder)
{
	struct sockaddr_un address = address_in(folder);

	if ((unlinkat(folder, SOCKET, 0) && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    fchmodat(folder, SOCKET, 0600, 0) || listen(fd, BACKLOG))
		return -errno;
	return 0;
}

int relay_hand_listen(const char *pin_folder, const char *socket_folder)
{
	_cleanup_close_ int fd = open_socket(), folder = -1;
	int r = fd < 0 ? fd : make_link(pin_folder, socket_folder);

	if (!r)
		folder = open_folder(pin_folder);
	if (!r)
		r = folder < 0 ? folder : bind_in(fd, folder);
	if (r)
		return r;
	r = fd;
	fd = -1;
	return r;
}

int relay_hand_accept(int listener)
{
	/* All that can wait; what comes meanwhile is not waited for. */
	for (int i = 0; i <= BACKLOG; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return -errno;
		if (is_of_us(fd))
			return fd;
		close(fd);
	}
	return -EAGAIN;
}

int relay_hand_withdraw(const char *pin_folder)
{
	_cleanup_close_ int folder = open_folder(pin_folder);
	char link[PATH_MAX];
	int r = path_of_link(pin_folder, link);

	if (folder >= 0)
		unlinkat(folder, SOCKET, 0);
	return !r && unlink(link) && errno != ENOENT ? -errno : r;
}

/* --- the relays' ------------------------------------------------------------------------------- */

static int connect_to(int fd, const char *pin_folder)
{
	_cleanup_close_ int folder = open_folder(pin_folder);
	struct sockaddr_un address = address_in(folder);

	if (folder < 0)
		return folder;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return is_of_us(fd) ? 0 : -EPERM;
}

int relay_hand_send(const char *pin_folder, const struct relay_hand *hand)
{
	_cleanup_close_ int fd = open_socket();
	struct message message;
	struct cmsghdr *rights;
	int r = fd < 0 ? fd : connect_to(fd, pin_folder);

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
