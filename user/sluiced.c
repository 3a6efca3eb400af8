/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon: sets the gate up in the order in which nothing is ever let through unjudged, then
 * serves the control socket until it is told to stop. The gate stays in force without it.
 */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "api.h"
#include "backup.h"
#include "changes.h"
#include "claim.h"
#include "clock.h"
#include "control.h"
#include "drain_all.h"
#include "gates.h"
#include "log.h"
#include "privileges.h"
#include "probe.h"
#include "relay.h"
#include "relay_keep.h"
#include "replies.h"
#include "restore.h"
#include "secret.h"
#include "standing.h"
#include "state_folder.h"
#include "ungated.h"
#include "util.h"

#define EXIT_USAGE 2
#define TICK_MS	   1000

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
	int upkeep_result; /* of the last round */
	bool take_down;	   /* the gate goes with the daemon */
	int clock_result;
	char why[1536];
};

/* Write a sentence for the user into why, and give the error back. */
#define explain(daemon, error, ...)                                                                \
	say_why(error, (daemon)->why, sizeof((daemon)->why), __VA_ARGS__)

/* --- steps of the start, in their order ---------------------------------------------------------- */

static int limit_privileges(struct daemon *daemon)
{
	return privileges_limit(PRIVILEGES_LOAD, PRIVILEGES_GROUP, daemon->why,
				sizeof(daemon->why));
}

/* What took the gate's set-up is not needed to serve. */
static int drop_privileges(struct daemon *daemon)
{
	return privileges_limit(PRIVILEGES_SERVE, 0, daemon->why, sizeof(daemon->why));
}

static int become_remover(struct daemon *daemon)
{
	return privileges_become_owner(daemon->config.pin, PRIVILEGES_LOAD, PRIVILEGES_REMOVE,
				       daemon->why, sizeof(daemon->why));
}

/* Secrets are in this process' memory: no core dumps, and no file that others can read. */
static int guard_process(struct daemon *daemon)
{
	int r = privileges_hide_memory();

	if (r)
		return explain(daemon, r, "Core dumps cannot be turned off: %s.", strerror(-r));
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	if (sodium_init() < 0)
		return explain(daemon, -EIO, "libsodium does not start: no random numbers.");
	secret_wipe_json();
	return 0;
}

static void on_stop(void *data)
{
	struct daemon *daemon = data;

	loop_stop(&daemon->loop);
}

static void on_hang_up(void *data)
{
	struct daemon *daemon = data;

	if (daemon->config.action == CONFIG_RUN)
		changes_reload(&daemon->changes);
	else
		loop_stop(&daemon->loop);
}

static int open_loop(struct daemon *daemon)
{
	int r = loop_open(&daemon->loop);

	if (!r) /* from here on a signal waits until what is half done is whole */
		r = loop_add_signals(&daemon->loop, &daemon->stop, SIGINT, SIGTERM, on_stop,
				     daemon);
	if (!r)
		r = loop_add_signals(&daemon->loop, &daemon->hang_up, SIGHUP, 0, on_hang_up,
				     daemon);
	return r ? explain(daemon, r, "The event loop cannot be made: %s.", strerror(-r)) : 0;
}

static int claim_ports(struct daemon *daemon)
{
	int r = 0;

	for (size_t i = 0; !r && i < daemon->config.port_count; i++)
		r = claim_port(&daemon->claims, daemon->config.ports[i].port, daemon->why,
			       sizeof(daemon->why));
	return r;
}

static int open_folder(struct daemon *daemon)
{
	return state_folder_open(daemon->config.state, daemon->why, sizeof(daemon->why));
}

static int open_store(struct daemon *daemon)
{
	int r = store_open(daemon->store_path, &daemon->store, daemon->why, sizeof(daemon->why));

	return r ? r
		 : store_open_pepper(daemon->store, daemon->pepper_path, daemon->pepper,
				     daemon->why, sizeof(daemon->why));
}

static int open_kernel(struct daemon *daemon)
{
	const struct config *config = &daemon->config;
	char remove[CONFIG_REMOVE_SIZE];
	const struct kernel_options options = {
		.remove = remove,
		.to_remove = config->action == CONFIG_REMOVE,
		.pin_folder = config->pin,
		.cgroup = *config->cgroup ? config->cgroup : NULL,
		.max_keys = config->max_keys,
		.max_connections = config->max_connections,
		.guess_sources = config->guess_sources,
	};

	config_format_remove(config, remove);
	return kernel_open(&options, &daemon->kernel, daemon->why, sizeof(daemon->why));
}

/* A kernel that fails gets no gate; one that stands already goes on with the programs that it has. */
static int probe(struct daemon *daemon)
{
	const char *state = daemon->config.state;
	unsigned int ms;
	int r;

	if (probe_is_noted(state))
		return 0;
	r = probe_kernel(&ms, daemon->why, sizeof(daemon->why));
	if (r)
		return r;
	log_info("The kernel has passed %zu probes, in %u ms.", kernel_probe_count, ms);
	probe_note(state);
	return 0;
}

static int put_settings(struct daemon *daemon)
{
	return gates_put_settings(daemon->kernel, &daemon->config, daemon->pepper, daemon->why,
				  sizeof(daemon->why));
}

static int put_programs(struct daemon *daemon)
{
	return kernel_put_programs(daemon->kernel, daemon->why, sizeof(daemon->why));
}

static int put_answers(struct daemon *daemon)
{
	int r = replies_put(daemon->kernel);

	return r ? explain(daemon, r, "The answers cannot be written to the kernel: %s.",
			   strerror(-r))
		 : 0;
}

static int put_keys(struct daemon *daemon)
{
	return sync_start(daemon->kernel, daemon->store, &daemon->sync, daemon->why,
			  sizeof(daemon->why));
}

static int open_registry(struct daemon *daemon)
{
	struct registry_options options = {
		.keys_per_account = daemon->config.keys_per_account,
		.key_word = daemon->config.key_word,
	};
	int r;

	memcpy(options.pepper, daemon->pepper, sizeof(options.pepper));
	r = registry_open(&options, daemon->store, daemon->sync, &daemon->registry);
	sodium_memzero(&options, sizeof(options));
	return r ? explain(daemon, r, "The keys cannot be opened: %s.", strerror(-r)) : 0;
}

/* All that reaches further than one key. */
static int open_changes(struct daemon *daemon)
{
	struct departures *departures = &daemon->changes.departures;
	struct reload *reload = &daemon->changes.reload;
	int r = departure_open(departures, &daemon->loop);

	departures->kernel = reload->kernel = daemon->kernel;
	departures->claims = reload->claims = &daemon->claims;
	departures->config = reload->config = &daemon->config;
	reload->registry = daemon->registry;
	return r ? explain(daemon, r, "A timer cannot be made: %s.", strerror(-r)) : 0;
}

/* Listens, but is served only once the gate is in force and the loop runs. */
static int open_control(struct daemon *daemon)
{
	daemon->service = (struct service){
		.config = &daemon->config,
		.kernel = daemon->kernel,
		.registry = daemon->registry,
		.started_ms = now_ms(),
		.verbs = &changes_verbs,
		.verbs_data = &daemon->changes,
	};
	return control_start(&daemon->loop, &daemon->service, daemon->config.socket,
			     &daemon->control, daemon->why, sizeof(daemon->why));
}

static int start_relay(struct daemon *daemon)
{
	relay_keep_start(&daemon->relay, daemon->config.pin);
	return 0;
}

static int put_gates(struct daemon *daemon)
{
	return gates_put(daemon->kernel, &daemon->config, false, daemon->why, sizeof(daemon->why));
}

static int enforce(struct daemon *daemon)
{
	return kernel_enforce(daemon->kernel, daemon->why, sizeof(daemon->why));
}

typedef int step(struct daemon *daemon);

static step *const start_steps[] = {
	limit_privileges, guard_process, open_loop,	open_folder,	 open_store,
	open_kernel,	  claim_ports,	 probe,		put_settings,	 put_programs,
	put_answers,	  put_keys,	 open_registry, open_changes,	 open_control,
	start_relay,	  put_gates,	 enforce,	drop_privileges,
};

/* Run steps in their order up to the first that fails. */
static int run_steps(struct daemon *daemon, step *const *steps, size_t count)
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++)
		r = steps[i](daemon);
	return r;
}

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
	relay_keep_tick(&daemon->relay, daemon->config.pin);
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

/* A start that failed leaves nothing behind that it made, and everything that stood before. */
static void undo_start(struct daemon *daemon)
{
	if (!daemon->kernel || kernel_taken_over(daemon->kernel))
		return;
	/* First the gates, so that no connection is taken for one of theirs and reset. */
	for (size_t i = 0; i < daemon->config.port_count; i++)
		kernel_remove_gate(daemon->kernel, daemon->config.ports[i].port);
	daemon->take_down = true;
}

/* Everything that was opened, newest first. Usage is saved with the end of sync. */
static void close_all(struct daemon *daemon)
{
	int r;

	control_stop(daemon->control);
	departure_close(&daemon->changes.departures, &daemon->loop);
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
	int r = run_steps(daemon, start_steps, ARRAY_SIZE(start_steps));

	if (r) {
		undo_start(daemon);
		return r;
	}
	standing_log_start(&daemon->config, daemon->kernel, sync_count(daemon->sync));
	r = serve(daemon);
	standing_log_stop(&daemon->config);
	return r;
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

static int remove_gate(struct daemon *daemon)
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
		return explain(daemon, r, "The gate in %s cannot be taken down: %s.",
			       daemon->config.pin, strerror(-r));
	if (opened)
		log_warning("No connection was let end, and what was counted since the last daemon "
			    "is not saved. %s",
			    daemon->why);
	log_info("The gate in %s is down; nothing is checked any more.", daemon->config.pin);
	return 0;
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
