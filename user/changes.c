// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static int reload(void *data, char **ret_changes, struct failure *ret_failure)
{
	struct changes *changes = data;
	int r = reload_run(&changes->reload, ret_changes, ret_failure);

	if (r)
		return r;
	for (const char *line = *ret_changes; *line; line += strcspn(line, "\n") + 1)
		log_notice("Reload: %.*s", (int)strcspn(line, "\n"), line);
	if (!**ret_changes)
		log_notice("Reload: nothing is different.");
	return 0;
}

static int remove_gate(void *data, uint16_t port, uint32_t seconds, struct failure *ret_failure)
{
	struct changes *changes = data;
	int r = reload_check_leaving(&changes->reload, port, ret_failure);

	if (r)
		return r;
	r = departure_begin(&changes->departures, port, seconds);
	if (r == -ENOENT)
		return failure_set(ret_failure, FAILURE_NOT_FOUND, "Port %u is not protected.",
				   port);
	if (r == -EALREADY)
		return failure_set(ret_failure, FAILURE_CONFLICT,
				   "Port %u is about to leave the gate already.", port);
	return r ? failure_set(ret_failure, FAILURE_UNAVAILABLE,
			       "The port cannot be taken out of the gate: %s.", strerror(-r))
		 : 0;
}

const struct service_verbs changes_verbs = { .reload = reload, .remove_gate = remove_gate };

void changes_reload(struct changes *changes)
{
	struct failure failure;
	char *different;

	log_notice("SIGHUP has the configuration read again.");
	if (reload(changes, &different, &failure))
		log_error("%s", failure.message);
	else
		free(different);
}
