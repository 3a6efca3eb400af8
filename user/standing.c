// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <unistd.h>

#include "log.h"
#include "setting.h"
#include "standing.h"

/* A gate that was taken over has the sizes it was made with: what is in it stays. */
static void log_size(const struct config *config, const char *name, uint32_t wanted, uint32_t size)
{
	char remove[CONFIG_REMOVE_SIZE];

	if (wanted == size)
		return;
	config_format_remove(config, remove);
	log_warning("%s = %u is not in force: the gate was made with %u; it changes after %s.",
		    name, wanted, size, remove);
}

static void log_shed(const struct config_shed *shed)
{
	char interfaces[CONFIG_INTERFACES_MAX * IF_NAMESIZE];

	setting_list_format(SETTING_INTERFACES, &shed->interfaces, interfaces, sizeof(interfaces));
	log_info("Sources with %u refusals within %u s are shed on: %s.", shed->refusals,
		 shed->seconds, interfaces);
}

void standing_log_start(const struct config *config, const struct kernel *kernel, uint32_t keys)
{
	for (size_t i = 0; i < config->port_count; i++)
		log_info("Protecting port %u: request heads up to %u bytes, trailers are %s, %s.",
			 config->ports[i].port, config->ports[i].head_limit,
			 config->ports[i].pass_trailers ? "passed" : "refused",
			 config->ports[i].keep_identity
				 ? "the Authorization line is kept"
				 : "the Authorization line is swapped for X-Key-Id");
	for (size_t i = 0; i < config->unused_count; i++)
		log_warning(CONFIG_UNUSED_PORT ".", config->unused_ports[i], config->file);
	log_info("The gate is on the sockets of cgroup %s, pinned in %s%s.", kernel_cgroup(kernel),
		 config->pin,
		 kernel_taken_over(kernel) ? "; it stood already and was taken over" : "");
	log_size(config, "max_keys", config->max_keys, kernel_slots(kernel));
	log_size(config, "max_connections", config->max_connections,
		 kernel_max_connections(kernel));
	log_size(config, "guess_sources", config->guess_sources, kernel_guess_sources(kernel));
	log_size(config, "max_sources", config->shed.max_sources, kernel_shed_sources(kernel));
	if (config->shed.interfaces.count)
		log_shed(&config->shed);
	log_info("Keys in force: %u, of at most %u; the state is in %s.", keys,
		 kernel_slots(kernel), config->state);
	log_info("The control socket is %s, of group %u, mode %s.", config->socket,
		 config->socket_group == GROUP_NONE ? getegid() : config->socket_group,
		 config->socket_private ? "0600" : "0660");
}

void standing_log_stop(const struct config *config)
{
	char remove[CONFIG_REMOVE_SIZE];

	config_format_remove(config, remove);
	log_info("Stopping. The gate stays in force without the daemon; %s takes it down.", remove);
}
