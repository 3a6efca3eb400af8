/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon: sets the gate up in the order in which nothing is ever let through unjudged, then
 * serves the control socket until it is told to stop. The gate stays in force without it.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup.h"
#include "daemon.h"
#include "gates.h"
#include "log.h"
#include "privileges.h"
#include "relay.h"
#include "restore.h"
#include "standing.h"
#include "state_folder.h"
#include "util.h"

#define EXIT_USAGE 2
#define TICK_MS	   1000

/* --- while it runs ------------------------------------------------------------------------------- */

/* Tell the kernel side where the clocks stand. A lasting failure is told once. */
static void follow_clock(void *data)
{
	struct daemon *daemon = data;
	int r = gates_follow_clock(daemon->kernel);

	if (r && r != daemon->clock_result)
		log_error("The kernel side cannot be told of the clock: %s.", strerror(-r));
	daemon->clock_result = r;
}

/* Each second: mark what has expired, save what was counted. */
static void on_tick(void *data)
{
	struct daemon *daemon = data;
	int swept = sync_sweep(daemon->sync, now_ms());
	int saved = sync_save_usage(daemon->sync);
	int r = saved ? saved : swept;

	follow_clock(daemon);
	claims_tick(&daemon->claims);
	relay_keep_tick(&daemon->relay);
	shed_tick(&daemon->shed);
	ungated_tick(&daemon->ungated, daemon->kernel, &daemon->config);
	if (r && r != daemon->upkeep_result)
		log_error("The store cannot be kept up to date: %s. Keys stay in force as they "
			  "are, and it is tried again each second.",
			  store_reason(r));
	if (!r && daemon->upkeep_result)
		log_notice("The store is up to date again.");
	daemon->upkeep_result = r;
}

static int serve(struct daemon *daemon)
{
	struct loop *loop = &daemon->loop;
	int r = loop_add_timer(loop, &daemon->tick, on_tick, daemon);

	if (!r)
		r = loop_set_timer(&daemon->tick, TICK_MS, TICK_MS);
	if (!r)
		r = clock_watch_start(&daemon->clock, loop, follow_clock, daemon);
	if (!r)
		r = loop_run(loop);
	return r ? explain(daemon, r, "The event loop failed: %s.", strerror(-r)) : 0;
}

/* --- its end ------------------------------------------------------------------------------------- */

/* Everything that was opened, newest first. Usage is saved with the end of sync. */
static void close_all(struct daemon *daemon)
{
	int r;

	control_stop(daemon->control);
	departure_close(&daemon->changes.departures, &daemon->loop);
	shed_close(&daemon->shed, &daemon->loop);
	registry_close(daemon->registry);
	sync_stop(daemon->sync);
	store_close(daemon->store);
	kernel_close(daemon->kernel);
	r = daemon->take_down ? kernel_remove(daemon->config.pin) : 0;
	if (r)
		log_error("What was made in %s cannot be removed: %s.", daemon->config.pin,
			  strerror(-r));
	clock_watch_stop(&daemon->clock, &daemon->loop);
	loop_remove(&daemon->loop, &daemon->tick);
	loop_remove(&daemon->loop, &daemon->hang_up);
	loop_remove(&daemon->loop, &daemon->stop);
	loop_close(&daemon->loop);
	sodium_memzero(daemon->pepper, sizeof(daemon->pepper));
}

static int run(struct daemon *daemon)
{
	int r = start(daemon);

	if (r) {
		undo_start(daemon);
		return r;
	}
	standing_log_start(&daemon->config, daemon->kernel, sync_count(daemon->sync));
	r = serve(daemon);
	standing_log_stop(&daemon->config);
	return r;
}

static int become_keeper(struct daemon *daemon)
{
	int r = privileges_become_owner(daemon->config.state, 0, PRIVILEGES_REMOVE, daemon->why,
					sizeof(daemon->why));

	return r ? r : guard_process(daemon);
}

static int back_up(struct daemon *daemon)
{
	const struct config *config = &daemon->config;
	int r = become_keeper(daemon);

	if (!r)
		r = backup_make(config->state, config->backup, daemon->why, sizeof(daemon->why));
	if (!r)
		log_info("The store and the pepper of %s are copied to %s.", config->state,
			 config->backup);
	return r;
}

static int restore(struct daemon *daemon)
{
	const struct config *config = &daemon->config;
	int r = become_keeper(daemon);

	if (!r)
		r = restore_run(config->state, config->backup, daemon->why, sizeof(daemon->why));
	if (!r)
		log_info("%s is restored to %s. A gate that stands goes on with the keys it has; "
			 "the next start of sluiced puts the restored ones in force.",
			 config->backup, config->state);
	return r;
}

static int act(struct daemon *daemon)
{
	switch (daemon->config.action) {
	case CONFIG_REMOVE:
		return remove_gate(daemon);
	case CONFIG_BACKUP:
		return back_up(daemon);
	case CONFIG_RESTORE:
		return restore(daemon);
	default:
		return run(daemon);
	}
}

int main(int argc, char **argv)
{
	struct daemon daemon = {
		.loop.epoll_fd = -1,
		.stop = LOOP_SOURCE_NONE,
		.hang_up = LOOP_SOURCE_NONE,
		.changes.departures.timer = LOOP_SOURCE_NONE,
		.changes.reload = { .argc = argc, .argv = argv, .default_file = CONFIG_FILE },
		.tick = LOOP_SOURCE_NONE,
		.shed.offenders = LOOP_SOURCE_NONE,
		.clock.source = LOOP_SOURCE_NONE,
	};
	struct config *config = &daemon.config;
	int r;

	if (config_read(argc, argv, CONFIG_FILE, config, daemon.why, sizeof(daemon.why))) {
		log_error("%s", daemon.why);
		return EXIT_USAGE;
	}
	if (config->action == CONFIG_HELP) {
		config_print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (config->action == CONFIG_VERSION) {
		puts("sluiced " SLUICE_VERSION);
		return EXIT_SUCCESS;
	}
	path_join(daemon.store_path, sizeof(daemon.store_path), config->state, STATE_STORE);
	path_join(daemon.pepper_path, sizeof(daemon.pepper_path), config->state, STATE_PEPPER);
	if (config->action == CONFIG_RELAY)
		return relay_run(config->pin) ? EXIT_FAILURE : EXIT_SUCCESS;
	r = act(&daemon);
	close_all(&daemon);
	if (r)
		log_error("%s", daemon.why);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
