/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The steps of the daemon's start, in the order in which nothing is ever let through unjudged. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon.h"
#include "gates.h"
#include "log.h"
#include "privileges.h"
#include "probe.h"
#include "replies.h"
#include "secret.h"
#include "state_folder.h"
#include "util.h"

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

/* Secrets are in this process' memory: no core dumps, and no file that others can read. */
int guard_process(struct daemon *daemon)
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

int open_loop(struct daemon *daemon)
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

int open_store(struct daemon *daemon)
{
	int r = store_open(daemon->store_path, &daemon->store, daemon->why, sizeof(daemon->why));

	return r ? r
		 : store_open_pepper(daemon->store, daemon->pepper_path, daemon->pepper,
				     daemon->why, sizeof(daemon->why));
}

int open_kernel(struct daemon *daemon)
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
		.shed_sources = config->shed.max_sources,
		.ipv4_prefix = config->shed.ipv4_prefix,
		.ipv6_prefix = config->shed.ipv6_prefix,
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

static int check_pepper(struct daemon *daemon)
{
	return gates_check_pepper(daemon->kernel, &daemon->config, daemon->pepper, daemon->why,
				  sizeof(daemon->why));
}

/* Before the gate changes: what is on the network interfaces may be in the shed's way. */
static int put_shed(struct daemon *daemon)
{
	const struct config_shed *config = &daemon->config.shed;
	struct shed *shed = &daemon->shed;
	int r = kernel_lay_out_shed(daemon->kernel, config->ipv4_prefix, config->ipv6_prefix);

	if (r)
		return explain(daemon, r, "The shed's table cannot be written: %s.", strerror(-r));
	shed->kernel = daemon->kernel;
	shed->swept = kernel_ticks(daemon->kernel); /* who went out before was told of */
	shed->config = &daemon->config.shed;
	return shed_put(shed, shed->config, daemon->why, sizeof(daemon->why));
}

static int put_settings(struct daemon *daemon)
{
	return gates_put_settings(daemon->kernel, daemon->pepper, daemon->why, sizeof(daemon->why));
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

int put_keys(struct daemon *daemon)
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

static int watch_offenders(struct daemon *daemon)
{
	int r = shed_watch(&daemon->shed, &daemon->loop);

	return r ? explain(daemon, r, "What the kernel tells of refusals cannot be read: %s.",
			   strerror(-r))
		 : 0;
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
	reload->shed = &daemon->shed;
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
		.shed = &daemon->shed,
	};
	return control_start(&daemon->loop, &daemon->service, daemon->config.socket,
			     &daemon->control, daemon->why, sizeof(daemon->why));
}

static int start_relay(struct daemon *daemon)
{
	relay_keep_start(&daemon->relay, daemon->config.pin, daemon->config.state);
	return 0;
}

/* Ports of a gate that is taken over which the configuration names no more. */
struct dropped {
	const struct config *config;
	uint16_t ports[GATES_MAX];
	size_t count;
};

static int note_dropped(const struct gate_key *key, const struct gate *gate, bool own, void *data)
{
	struct dropped *dropped = data;

	(void)gate;
	if (own && !config_find_port(dropped->config, key->port) && dropped->count < GATES_MAX)
		dropped->ports[dropped->count++] = key->port;
	return 0;
}

/* That a port was opened is told: whoever started the daemon may not have meant it. */
static int put_gates(struct daemon *daemon)
{
	struct dropped dropped = { .config = &daemon->config };
	int r;

	/* Late: of a start that fails the keys of the gate that stands know nothing. */
	gates_put_key_word(daemon->kernel, daemon->config.key_word);
	kernel_each_gate(daemon->kernel, note_dropped, &dropped);
	r = gates_put(daemon->kernel, &daemon->config, false, daemon->why, sizeof(daemon->why));
	for (size_t i = 0; !r && i < dropped.count; i++)
		log_warning("Port %u is no longer protected: it is open to all from now on.",
			    dropped.ports[i]);
	return r;
}

static int enforce(struct daemon *daemon)
{
	return kernel_enforce(daemon->kernel, daemon->why, sizeof(daemon->why));
}

static step *const start_steps[] = {
	limit_privileges, guard_process, open_loop, open_folder,     open_store,      open_kernel,
	check_pepper,	  claim_ports,	 probe,	    put_shed,	     watch_offenders, put_settings,
	put_programs,	  put_answers,	 put_keys,  open_registry,   open_changes,    open_control,
	start_relay,	  put_gates,	 enforce,   drop_privileges,
};

int start(struct daemon *daemon)
{
	return run_steps(daemon, start_steps, ARRAY_SIZE(start_steps));
}

/*
 * A start that failed leaves nothing behind that it made. A gate that stood before goes on with its keys and
 * ports; what was put of the shed stays.
 */
void undo_start(struct daemon *daemon)
{
	if (!daemon->kernel || kernel_taken_over(daemon->kernel))
		return;
	/* First the gates, so that no connection is taken for one of theirs and reset. */
	for (size_t i = 0; i < daemon->config.port_count; i++)
		kernel_remove_gate(daemon->kernel, daemon->config.ports[i].port);
	daemon->take_down = true;
}
