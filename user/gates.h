/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel side needs to know besides keys: its settings and the ports it protects. */
#ifndef SLUICE_GATES_H
#define SLUICE_GATES_H

#include "config.h"
#include "kernel.h"

/*
 * Whether what is in force is not another installation's: to be asked before anything is changed.
 *
 * pepper	PEPPER_SIZE bytes, as the keys were hashed with
 *
 * Returns 0 or -EKEYREJECTED: it has another pepper, and why (why_size bytes) says what to do.
 */
int gates_check_pepper(struct kernel *kernel, const struct config *config, const uint8_t *pepper,
		       char *why, size_t why_size);

/* Write the settings of all programs but the keys' word. On failure why (why_size bytes) says what is wrong. */
int gates_put_settings(struct kernel *kernel, const uint8_t *pepper, char *why, size_t why_size);

/* True where what is in force was made with that pepper; false also where nothing is. */
bool gates_have_pepper(struct kernel *kernel, const uint8_t *pepper);

/* Put a changed distance of CLOCK_TAI into the settings; nothing to do where it is the same. */
int gates_follow_clock(struct kernel *kernel);

/* Have keys of this word accepted, and no others, from the next request on. */
void gates_put_key_word(struct kernel *kernel, const char *word);

/*
 * Make the gates of this network namespace those of config: others of this namespace go. All of it or
 * nothing: where a change fails, those before it are undone. why as above. -ENOTRECOVERABLE: not
 * all of them could be.
 *
 * keep_draining	leave gates alone that are draining, and that config does not name
 */
int gates_put(struct kernel *kernel, const struct config *config, bool keep_draining, char *why,
	      size_t why_size);

#endif
