// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "reload.h"

#include <errno.h>
#include <string.h>

#include "gates.h"
#include "log.h"
#include "setting.h"
#include "util.h"

#define WHY_SIZE 512

static int refuse_config(const char *why, struct failure *ret_failure)
{
	return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT, "%s Nothing was changed.", why);
}

static int read_again(const struct reload *reload, struct config *ret_config,
		      struct failure *ret_failure)
{
	char why[WHY_SIZE];

	return config_read(reload->argc, reload->argv, reload->default_file, ret_config, why,
			   sizeof(why))
		       ? refuse_config(why, ret_failure)
		       : 0;
}

/* --- what is different -------------------------------------------------------------------------- */

/* Refuse what cannot change of these settings, whose values are in from and to. */
static int check_table(const struct reload *reload, const struct setting *settings, size_t count,
		       const void *from, const void *to, struct failure *ret_failure)
{
	for (size_t i = 0; i < count; i++) {
		const struct setting *setting = &settings[i];
		char was[SETTING_TEXT_SIZE], is[SETTING_TEXT_SIZE], remove[CONFIG_REMOVE_SIZE];

		if (!setting->fixed || setting_equal(setting, from, to))
			continue;
		setting_format(setting, from, was, sizeof(was));
		setting_format(setting, to, is, sizeof(is));
		config_format_remove(reload->config, remove);
		return failure_set(
			ret_failure, FAILURE_CONFLICT,
			"%s cannot change from '%.100s' to '%.100s' while the gate "
			"stands. Set it back; or stop sluiced, run %s, and start it. Nothing was "
			"changed.",
			setting->name, was, is, remove);
	}
	return 0;
}

/* Refuse what cannot change: what the kernel side and the daemon were made with. */
static int check_fixed(const struct reload *reload, const struct config *to,
		       struct failure *ret_failure)
{
	const struct config *from = reload->config;
	int r = check_table(reload, sluice_settings, sluice_setting_count, from, to, ret_failure);

	return r ? r
		 : check_table(reload, shed_settings, shed_setting_count, &from->shed, &to->shed,
			       ret_failure);
}

/* Write a line for each setting that differs, behind what they are about. */
static void print_differences(FILE *out, const struct setting *settings, size_t count,
			      const char *about, const void *from, const void *to)
{
	char was[SETTING_TEXT_SIZE], is[SETTING_TEXT_SIZE];

	for (size_t i = 0; i < count; i++) {
		if (setting_equal(&settings[i], from, to))
			continue;
		setting_format(&settings[i], from, was, sizeof(was));
		setting_format(&settings[i], to, is, sizeof(is));
		fprintf(out, "%s%s is %s, and was %s\n", about, settings[i].name,
			*is ? is : "empty", *was ? was : "empty");
	}
}

/* Whether a port is about to leave by itself, which a reload does not change. */
static bool is_leaving(struct kernel *kernel, uint16_t port)
{
	struct gate gate;

	return !kernel_get_gate(kernel, port, &gate) && gate.draining;
}

static void print_ports(FILE *out, struct kernel *kernel, const struct config *from,
			const struct config *to)
{
	char about[32];

	for (size_t i = 0; i < to->port_count; i++) {
		const struct config_port *port = &to->ports[i];
		const struct config_port *before = config_find_port(from, port->port);

		snprintf(about, sizeof(about), "port %u: ", port->port);
		if (!before) {
			fprintf(out, "port %u is protected\n", port->port);
			continue;
		}
		print_differences(out, port_settings, port_setting_count, about, before, port);
		if (is_leaving(kernel, port->port))
			fprintf(out, "port %u stays protected, and was about to leave\n",
				port->port);
	}
	for (size_t i = 0; i < from->port_count; i++)
		if (!config_find_port(to, from->ports[i].port) &&
		    !is_leaving(kernel, from->ports[i].port))
			fprintf(out,
				"port %u is no longer protected: it is open to all from now on\n",
				from->ports[i].port);
}

static int describe(const struct reload *reload, const struct config *to, char **ret_changes,
		    struct failure *ret_failure)
{
	const struct config *from = reload->config;
	size_t size;
	FILE *out = open_memstream(ret_changes, &size);

	if (out) {
		print_differences(out, sluice_settings, sluice_setting_count, "", from, to);
		print_differences(out, shed_settings, shed_setting_count, "shed: ", &from->shed,
				  &to->shed);
		print_ports(out, reload->kernel, from, to);
		for (size_t i = 0; i < to->unused_count; i++)
			fprintf(out, CONFIG_UNUSED_PORT "\n", to->unused_ports[i], to->file);
		if (!fclose(out))
			return 0;
		free(*ret_changes);
	}
	return failure_set(ret_failure, FAILURE_UNAVAILABLE,
			   "The daemon is out of memory. Nothing was changed.");
}

/* --- putting it in force ------------------------------------------------------------------------ */

/* Let go of ports that are neither gated any more nor about to leave. */
static void drop_claims(const struct reload *reload, const struct config *config)
{
	struct claims *claims = reload->claims;
	struct gate gate;

	for (size_t i = claims->count; i--;) {
		uint16_t port = claims->held[i].port;

		if (!config_find_port(config, port) && kernel_get_gate(reload->kernel, port, &gate))
			claim_drop(claims, port);
	}
}

static int claim_all(const struct reload *reload, const struct config *config,
		     struct failure *ret_failure)
{
	char why[WHY_SIZE];

	for (size_t i = 0; i < config->port_count; i++)
		if (claim_port(reload->claims, config->ports[i].port, why, sizeof(why)))
			return failure_set(ret_failure, FAILURE_CONFLICT, "%s Nothing was changed.",
					   why);
	return 0;
}

static int put_gates(const struct reload *reload, const struct config *config,
		     struct failure *ret_failure)
{
	char why[WHY_SIZE];
	int r = gates_put(reload->kernel, config, true, why, sizeof(why));

	return r ? failure_set(ret_failure, FAILURE_UNAVAILABLE, "%s%s", why,
			       r == -ENOTRECOVERABLE ? "" : " Nothing was changed.")
		 : 0;
}

static int put_shed(const struct reload *reload, const struct config *config,
		    struct failure *ret_failure)
{
	char why[WHY_SIZE];
	int r = shed_put(reload->shed, &config->shed, why, sizeof(why));
	bool in_the_way = r == -ENODEV || r == -EBUSY;

	return r ? failure_set(ret_failure, in_the_way ? FAILURE_CONFLICT : FAILURE_UNAVAILABLE,
			       "%s Nothing was changed.", why)
		 : 0;
}

/* The shed, and then the gates; where one fails, the shed as it was. */
static int put_all(const struct reload *reload, const struct config *config,
		   struct failure *ret_failure)
{
	char why[WHY_SIZE];
	int r = put_shed(reload, config, ret_failure);

	if (!r)
		r = put_gates(reload, config, ret_failure);
	if (r && shed_put(reload->shed, &reload->config->shed, why, sizeof(why)))
		return failure_set(
			ret_failure, FAILURE_UNAVAILABLE,
			"Not all could be put in force, and the shed is not as it was: %s "
			"Reload once more.",
			why);
	return r;
}

/* The gates come last of what can fail; behind them is nothing that can. */
static int put_in_force(const struct reload *reload, const struct config *config,
			struct failure *ret_failure)
{
	int r = claim_all(reload, config, ret_failure);

	if (!r)
		r = put_all(reload, config, ret_failure);
	if (r) {
		drop_claims(reload, reload->config);
		return r;
	}
	gates_put_key_word(reload->kernel, config->key_word);
	registry_set(reload->registry, config->keys_per_account, config->key_word);
	drop_claims(reload, config);
	return 0;
}

int reload_run(struct reload *reload, char **ret_changes, struct failure *ret_failure)
{
	_cleanup_free_ char *changes = NULL;
	struct config config;
	int r = read_again(reload, &config, ret_failure);

	if (!r)
		r = check_fixed(reload, &config, ret_failure);
	if (!r)
		r = describe(reload, &config, &changes, ret_failure);
	if (!r)
		r = put_in_force(reload, &config, ret_failure);
	if (r)
		return r;
	*reload->config = config;
	*ret_changes = take_pointer(changes);
	return 0;
}

/* The gate cannot be without a port: it goes with --remove. */
static int refuse_last(const struct reload *reload, uint16_t port, struct failure *ret_failure)
{
	char remove[CONFIG_REMOVE_SIZE];

	config_format_remove(reload->config, remove);
	return failure_set(ret_failure, FAILURE_CONFLICT,
			   "Port %u is the last one: stop the daemon and run %s.", port, remove);
}

int reload_check_leaving(const struct reload *reload, uint16_t port, struct failure *ret_failure)
{
	const struct config *from = reload->config;
	bool is_last = from->port_count == 1 && config_find_port(from, port);
	struct config config;
	char why[WHY_SIZE];
	int r = config_read(reload->argc, reload->argv, reload->default_file, &config, why,
			    sizeof(why));

	if (is_last && (r == -ENODATA || (!r && config.ports_given)))
		return refuse_last(reload, port, ret_failure);
	if (r)
		return refuse_config(why, ret_failure);
	if (!config_find_port(&config, port))
		return 0;
	if (config.ports_given)
		return failure_set(ret_failure, FAILURE_CONFLICT,
				   "Port %u is named by --port on the daemon's command line. Stop "
				   "the daemon, and start it without that: the port is open to all "
				   "from then on.",
				   port);
	return failure_set(
		ret_failure, FAILURE_CONFLICT,
		"Port %u is still in the configuration, so that the next reload or start "
		"would protect it again. Take it out there first.",
		port);
}
