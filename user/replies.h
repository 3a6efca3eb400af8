/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate's own answers: rendered here once, sent by the kernel, which writes the places that
 * vary (struct reply_template).
 */
#ifndef SLUICE_REPLIES_H
#define SLUICE_REPLIES_H

#include "kernel.h"

/* Render one answer. -E2BIG where it does not fit into REPLY_SIZE, -EINVAL: no such answer. */
int reply_render(enum reply reply, enum reply_connection connection,
		 struct reply_template *ret_template);

/* Render all answers into the kernel side. */
int replies_put(struct kernel *kernel);

#endif
