/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Taking the gate down for good: --remove. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "drain_all.h"
#include "gates.h"
#include "log.h"
#include "privileges.h"
#include "util.h"

static int become_remover(struct daemon *daemon)
{
	return privileges_become_owner(daemon->config.pin, PRIVILEGES_LOAD, PRIVILEGES_REMOVE,
				       daemon->why, sizeof(daemon->why));
}

/*
 * Save what the gate counted while no daemon ran, so that taking it down refills nobody's day.
 * Only where the store at hand is the one whose keys are in force; no reason not to remove.
 */
static void save_counts(struct daemon *daemon)
{
	if (!kernel_taken_over(daemon->kernel))
		return;
	if (access(daemon->store_path, F_OK)) {
		log_warning("What was counted since the last daemon is not saved: there is no %s. "
			    "--state names another folder.",
			    daemon->store_path);
		return;
	}
	if (open_store(daemon) || !gates_have_pepper(daemon->kernel, daemon->pepper) ||
	    put_keys(daemon))
		log_warning("What was counted since the last daemon is not saved: %s",
			    *daemon->why ? daemon->why : "the store is another installation's.");
}

/* Have open connections end. No reason not to remove but that the operator says so. */
static int drain(struct daemon *daemon)
{
	uint32_t seconds = daemon->config.drain_seconds;
	int r = 0;

	if (!seconds || !kernel_taken_over(daemon->kernel))
		return 0;
	log_info("No connection is let in any more; those that are open may end within %u s.",
		 seconds);
	r = drain_all(&daemon->loop, daemon->kernel, seconds);
	if (r == -EINTR)
		return explain(daemon, r, "Interrupted: the gate stands as before.");
	if (r)
		log_warning("Connections cannot be let end (%s); they are reset.", strerror(-r));
	return 0;
}

static int explain_failure(struct daemon *daemon, int error)
{
	const char *pin = daemon->config.pin;
	char guard[PATH_MAX];

	if (!path_join(guard, sizeof(guard), pin, "link_guard") && !access(guard, F_OK))
		return explain(daemon, error, "The gate in %s cannot be taken down: %s.", pin,
			       strerror(-error));
	return explain(daemon, error,
		       "Nothing is checked any more, but connections or pins of the gate in %s are "
		       "left: %s. Run --remove once more.",
		       pin, strerror(-error));
}

int remove_gate(struct daemon *daemon)
{
	static step *const steps[] = { become_remover, guard_process, open_loop, open_kernel };
	int opened, r;

	if (access(daemon->config.pin, F_OK) && errno == ENOENT) {
		log_info("There is no gate in %s.", daemon->config.pin);
		return 0;
	}
	opened = run_steps(daemon, steps, ARRAY_SIZE(steps));
	/* What this version cannot load, it can still take down. */
	if (!opened)
		save_counts(daemon);
	if (!opened && drain(daemon))
		return -EINTR;
	sync_stop(daemon->sync);
	daemon->sync = NULL;
	kernel_close(daemon->kernel);
	daemon->kernel = NULL;
	r = kernel_remove(daemon->config.pin);
	if (r && r == opened)
		return r; /* which opening has explained */
	if (r == -EEXIST)
		return explain(daemon, r,
			       "There are pins in %s, and none is Sluice's; nothing was removed.",
			       daemon->config.pin);
	if (r)
		return explain_failure(daemon, r);
	if (opened)
		log_warning("No connection was let end, and what was counted since the last daemon "
			    "is not saved. %s",
			    daemon->why);
	log_info("The gate in %s is down; nothing is checked any more.", daemon->config.pin);
	return 0;
}
