/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A client's side of WebSocket (RFC 6455) against app_websocket.js: numbered messages out, their
 * echoes and the server's own messages in, every byte checked. What is not as it must be fails the
 * running test.
 */
#ifndef SLUICE_TESTS_NET_WEBSOCKET_H
#define SLUICE_TESTS_NET_WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "http_client.h"

#define WEBSOCKET_ROOM (65536 + 256) /* bytes that hold any message with its frames */

/* Put message `number`, in one frame or, where it is large, in four. Returns its size. */
size_t websocket_put(uint8_t to[WEBSOCKET_ROOM], unsigned int number);

/*
 * On a connection whose 101 has been read: send the messages from number `sent` on and take the
 * echoes of them all, both at once. The first `sent` are on their way already.
 */
void websocket_converse(struct client *client, unsigned int sent, unsigned int messages);

/* Say goodbye with a Close frame, and expect one and end-of-file. */
void websocket_part(struct client *client);

#endif
