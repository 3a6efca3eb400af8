/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration, read again while the daemon runs: all that it says is put in force, or nothing.
 */
#ifndef SLUICE_RELOAD_H
#define SLUICE_RELOAD_H

#include "claim.h"
#include "config.h"
#include "kernel.h"
#include "registry.h"
#include "shed.h"

/* What the daemon was started with, and what it has in force. */
struct reload {
	int argc;
	char **argv;
	const char *default_file; /* as for config_read() */
	struct config *config;	  /* in force; replaced where a reload succeeds */
	struct claims *claims;
	struct kernel *kernel;
	struct registry *registry;
	struct shed *shed;
};

/*
 * Read the command line and the file again, and put what they say in force.
 *
 * ret_changes	what is different from before, a sentence without its full stop a line, and what
 *		of the file is not used; for the caller to free, empty where there is nothing to tell
 * ret_failure	on failure, what is wrong: INVALID_ARGUMENT in the file or the command line, CONFLICT
 *		a setting that cannot change or a port that another daemon has, UNAVAILABLE the kernel
 *		side failed. All is as it was, but where the message says that it is not.
 *
 * Returns 0 or a negative errno.
 */
int reload_run(struct reload *reload, char **ret_changes, struct failure *ret_failure);

/*
 * Whether a port may leave the gate: 0 where neither file nor command line, as they are now, name it.
 * Else a negative errno and, in ret_failure, what to do first. Errors as above, and CONFLICT: it is named,
 * or is the last one.
 */
int reload_check_leaving(const struct reload *reload, uint16_t port, struct failure *ret_failure);

#endif
