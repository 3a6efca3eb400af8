/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel side needs to know besides keys: its settings and the ports it protects. */
#ifndef SLUICE_GATES_H
#define SLUICE_GATES_H

#include "config.h"
#include "kernel.h"

/*
 * Write the settings of all programs.
 *
 * pepper	PEPPER_SIZE bytes, as the keys were hashed with
 *
 * On failure why (why_size bytes) says what is wrong and what to do. -EKEYREJECTED: what is in
 * force has another pepper, so it is another installation's; nothing was changed.
 */
int gates_put_settings(struct kernel *kernel, const struct config *config, const uint8_t *pepper,
		       char *why, size_t why_size);

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
