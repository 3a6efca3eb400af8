/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A request that goes to the relay although it came whole. */
#ifndef SLUICE_HANDED_NEXT_H
#define SLUICE_HANDED_NEXT_H

#include <stdbool.h>

/*
 * Wait for the first connection in the gate's table `conns` that gets an answer of the gate's, and have
 * the request behind that handed up: as if the kernel's worker were not done with the answer yet, which
 * the client has already.
 *
 * conns	descriptor of the table
 * patience_ms	how long to wait, in milliseconds
 *
 * Returns whether there was one.
 */
bool hand_up_next(int conns, int patience_ms);

#endif
