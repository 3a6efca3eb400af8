/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the API has the daemon do, written down instead. */
#ifndef SLUICE_TEST_FAKE_VERBS_H
#define SLUICE_TEST_FAKE_VERBS_H

#include <string.h>

#include "api.h"

static struct {
	bool refuse;
	int reloads;
	uint16_t port; /* that is to leave; 0: none */
	uint32_t seconds;
} fake_asked;

static inline int fake_reload(void *data, char **ret_changes, struct failure *ret_failure)
{
	(void)data;
	if (fake_asked.refuse)
		return failure_set(ret_failure, FAILURE_CONFLICT, "max_keys cannot change.");
	fake_asked.reloads++;
	*ret_changes = strdup("key_word is a, and was b\nport 80 is protected\n");
	return 0;
}

static inline int fake_remove_gate(void *data, uint16_t port, uint32_t seconds,
				   struct failure *ret_failure)
{
	(void)data;
	if (fake_asked.refuse)
		return failure_set(ret_failure, FAILURE_CONFLICT, "Port 80 is configured.");
	fake_asked.port = port;
	fake_asked.seconds = seconds;
	return 0;
}

static const struct service_verbs fake_verbs = { fake_reload, fake_remove_gate };

#endif
