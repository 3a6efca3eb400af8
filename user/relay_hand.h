/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a relay hands over to the next: on a Unix socket that the daemon listens on while it replaces
 * one. It gives the new relay the connection, on which the old one left its descriptors.
 *
 * The socket is in a folder of the daemon's user that is closed to all others, so that nobody else can
 * take its place, connect to it or keep it busy. A link in the lock's folder tells the relay where that
 * is: the daemons need not have the same. Neither side trusts another user at the other end.
 */
#ifndef SLUICE_RELAY_HAND_H
#define SLUICE_RELAY_HAND_H

/* The link, below the pin folder. */
#define RELAY_HEIR "relay/heir"

struct relay_hand {
	int state;   /* a memfd, streams_hand_over() */
	int sink[2]; /* relay_sockets.h */
};

#define RELAY_HAND_NONE ((struct relay_hand){ -1, { -1, -1 } })

/*
 * For the daemon: listen for a relay that hands over, and make the link. Returns a descriptor or a
 * negative errno. To be followed by
 * relay_hand_withdraw(), whatever this returns.
 *
 * socket_folder	where the socket is to be
 */
int relay_hand_listen(const char *pin_folder, const char *socket_folder);

/* Remove the socket and the link, where they are there. Returns 0 or a negative errno. */
int relay_hand_withdraw(const char *pin_folder);

/*
 * For the daemon, once the relay has ended: the connection that it handed over on. Never waits.
 *
 * Returns a descriptor or a negative errno: -EAGAIN where it did not.
 */
int relay_hand_accept(int listener);

/*
 * For the relay that ends: hand over to the next. The descriptors stay the caller's. Never waits.
 *
 * Returns 0 or a negative errno.
 */
int relay_hand_send(const char *pin_folder, const struct relay_hand *hand);

/*
 * For the relay that begins: take over what was sent on a connection.
 *
 * ret_hand	RELAY_HAND_NONE where this fails; to be closed with relay_hand_close()
 *
 * Returns 0 or a negative errno: -ENOTSOCK where fd is no connection, -EPROTO where another version
 * sent it.
 */
int relay_hand_receive(int fd, struct relay_hand *ret_hand);

/* An empty memfd. Returns a descriptor or a negative errno. */
int relay_hand_memory(void);

void relay_hand_close(struct relay_hand *hand);

#endif
