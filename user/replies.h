/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate's own answers: rendered once, and sent by the kernel or by the relay, which write the places
 * that vary (struct reply_template).
 */
#ifndef SLUICE_REPLIES_H
#define SLUICE_REPLIES_H

#include "kernel.h"

/* Render one answer. -E2BIG where it does not fit into REPLY_SIZE, -EINVAL: no such answer. */
int reply_render(enum reply reply, enum reply_connection connection,
		 struct reply_template *ret_template);

/* All answers, at index enum reply * REPLY_CONNECTIONS + enum reply_connection. */
struct replies {
	struct reply_template templates[REPLY_COUNT * REPLY_CONNECTIONS];
};

/* Render all answers. Returns 0 or what reply_render() does. */
int replies_render(struct replies *ret_replies);

/* Render all answers into the kernel side. Returns 0 or a negative errno. */
int replies_put(struct kernel *kernel);

/*
 * Write an answer as it is sent.
 *
 * now_ms	milliseconds since the epoch
 *
 * Returns its length in bytes; 0 where there is no such answer.
 */
size_t replies_write(const struct replies *replies, const struct owed *owed, uint64_t now_ms,
		     uint8_t ret_bytes[REPLY_SIZE]);

#endif
