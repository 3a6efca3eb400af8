/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What can be changed about the gate while it stands, as the control API and SIGHUP ask for it. */
#ifndef SLUICE_CHANGES_H
#define SLUICE_CHANGES_H

#include "api.h"
#include "departure.h"
#include "reload.h"

struct changes {
	struct reload reload;
	struct departures departures;
};

/* For struct service, with a struct changes as its data. */
extern const struct service_verbs changes_verbs;

/* Read the configuration again. What is different, or wrong, is told in the log alone. */
void changes_reload(struct changes *changes);

#endif
