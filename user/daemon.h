/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon is while it runs, and what its files share: sluiced.c, start.c and remove.c. */
#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "changes.h"
#include "claim.h"
#include "clock.h"
#include "config.h"
#include "control.h"
#include "loop.h"
#include "relay_keep.h"
#include "shed.h"
#include "store.h"
#include "sync.h"
#include "ungated.h"
#include "util.h"

struct daemon {
	struct config config;
	char store_path[CONFIG_PATH_SIZE + 16];
	char pepper_path[CONFIG_PATH_SIZE + 16];
	uint8_t pepper[PEPPER_SIZE];
	struct store *store;
	struct kernel *kernel;
	struct sync *sync;
	struct registry *registry;
	struct service service;
	struct control *control;
	struct loop loop;
	struct loop_source stop;
	struct loop_source hang_up;
	struct loop_source tick;
	struct clock_watch clock;
	struct relay_keep relay;
	struct claims claims;
	struct changes changes;
	struct ungated ungated;
	struct shed shed;
	int upkeep_result; /* of the last round */
	bool take_down;	   /* the gate goes with the daemon */
	int clock_result;
	char why[1536];
};

/* Write a sentence for the user into why, and give the error back. */
#define explain(daemon, error, ...)                                                                \
	say_why(error, (daemon)->why, sizeof((daemon)->why), __VA_ARGS__)

/* A step of what it does. Returns 0, or a negative errno with why set. */
typedef int step(struct daemon *daemon);

/* Run steps in their order up to the first that fails. */
static inline int run_steps(struct daemon *daemon, step *const *steps, size_t count)
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++)
		r = steps[i](daemon);
	return r;
}

/* start.c: set the gate up, and take back what a start that failed has made. */
int start(struct daemon *daemon);
void undo_start(struct daemon *daemon);

/* start.c: steps that are also taken elsewhere. */
int guard_process(struct daemon *daemon);
int open_loop(struct daemon *daemon);
int open_store(struct daemon *daemon);
int open_kernel(struct daemon *daemon);
int put_keys(struct daemon *daemon);

/* remove.c: take the gate down. */
int remove_gate(struct daemon *daemon);

#endif
