/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The relay: a process of its own that does for the gate what its programs cannot
 * (bpf/handoff.bpf.h). It keeps bytes that cannot be judged yet and sends them back to be judged
 * (streams.h), sends packets again without their FIN (packets.h), and writes the answers to requests that
 * were refused (replies.h), so that the application is not woken for them.
 *
 * It belongs to the gate rather than to the daemon, which starts it: it goes on while the daemon is
 * dead or stopped, and ends when the gate is taken down. A new daemon puts a relay of its own version
 * in its place, which takes over what it keeps (relay_hand.h), so that no connection is lost. It
 * judges nothing, and keeps nothing but those bytes, in memory. While there is none, what cannot be
 * judged at once waits for the next, and the application is woken for refused requests.
 */
#ifndef SLUICE_RELAY_H
#define SLUICE_RELAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * See to it that the gate in pin_folder has a relay: start one unless one runs. Waits until it
 * serves.
 *
 * why	on failure, a sentence for the user
 *
 * Returns 1 where one was started, 0 where one runs already, or a negative errno.
 */
int relay_ensure(const char *pin_folder, char *why, size_t why_size);

/*
 * As relay_ensure(), but put one of this version in the place of one that runs, and have it take over
 * what that one keeps. What is handed off meanwhile waits for the new one. The old one goes on where
 * it does not end when asked; where it does and the new one does not start, what it kept is lost.
 *
 * state_folder	closed to other users: where the two meet
 *
 * -EBUSY: the old one goes on.
 */
int relay_replace(const char *pin_folder, const char *state_folder, char *why, size_t why_size);

/*
 * Be the relay (sluiced --relay), where standard input is the lock that relay_ensure() took, and
 * standard error the connection that another relay handed over on, or /dev/null.
 * Serves until the gate is taken down or another relay is to take over.
 *
 * Says "ready" on standard output when it serves, or what is wrong, and then lets go of it.
 *
 * Returns 0 or a negative errno: -EPERM where it was started by hand.
 */
int relay_run(const char *pin_folder);

/* For the relay: whether fd holds the lock, and whether it is asked to end. */
bool relay_holds_lock(const char *pin_folder, int fd);
bool relay_should_quit(const char *pin_folder);

/*
 * Wait for the relay to end, which it does once the maps are unpinned, and remove its lock.
 *
 * Returns 0 or a negative errno: -ETIMEDOUT where it does not end.
 */
int relay_remove(const char *pin_folder);

#endif
