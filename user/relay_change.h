/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One relay comes after another: what becomes of the connections that the other was at work on. */
#ifndef SLUICE_RELAY_CHANGE_H
#define SLUICE_RELAY_CHANGE_H

#include "relay_hand.h"
#include "streams.h"

/*
 * Hand over to the relay that is to take over. What comes from now on is left to it, in the ring
 * buffer. The sink goes on while its descriptors are on their way.
 */
void relay_hand_over(const struct streams *streams, const int sink[2], const char *pin_folder);

/* Take over what the relay before this one kept, and close it. What cannot be read is lost. */
void relay_take_over(struct streams *streams, struct relay_hand *former);

/* End what a relay that is gone left undone: connections that streams does not know. */
void relay_adopt(struct streams *streams, int conns);

#endif
