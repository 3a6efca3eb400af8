/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon's log says of the gate at the daemon's start and end. */
#ifndef SLUICE_STANDING_H
#define SLUICE_STANDING_H

#include "config.h"
#include "kernel.h"

/* The gate is in force; keys is how many are. */
void standing_log_start(const struct config *config, const struct kernel *kernel, uint32_t keys);

/* The daemon ends, the gate does not. */
void standing_log_stop(const struct config *config);

#endif
