/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Before the gate is taken down: have what is under way on all its ports end. */
#ifndef SLUICE_DRAIN_ALL_H
#define SLUICE_DRAIN_ALL_H

#include <stdint.h>

#include "kernel.h"
#include "loop.h"

/*
 * Drain all ports of this network namespace, and what is left of those that were gated before, for so
 * many seconds at most, and run loop meanwhile. No connection is let in to a gated port from then on.
 *
 * Returns 0, -EINTR where somebody else stopped the loop, or another negative errno. On failure the
 * ports go on as before.
 */
int drain_all(struct loop *loop, struct kernel *kernel, uint32_t seconds);

#endif
