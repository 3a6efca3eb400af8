/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the command line, the file and the defaults come together. */
#include <errno.h>
#include <string.h>

#include "command_line.h"
#include "config_rows.h"
#include "keys.h"
#include "setting.h"
#include "util.h"

const struct config config_defaults = {
	.state = "/var/lib/sluice",
	.socket = CONFIG_SOCKET,
	.socket_group = GROUP_NONE,
	.pin = CONFIG_PIN,
	.key_word = KEY_WORD_DEFAULT,
	.max_keys = 65536,
	.max_connections = 65536,
	.guess_sources = 16384,
	.keys_per_account = KEY_PER_ACCOUNT_DEFAULT,
	.shed = {
		.refusals = 1000,
		.seconds = 10,
		.first = 60,
		.cap = 3600,
		.max_sources = 65536,
		.ipv4_prefix = 32,
		.ipv6_prefix = 64,
	},
};

const struct config_port config_port_defaults = { .head_limit = HEAD_LIMIT_MAX };

const struct config_port *config_find_port(const struct config *config, uint32_t port)
{
	for (size_t i = 0; i < config->port_count; i++)
		if (config->ports[i].port == port)
			return &config->ports[i];
	return NULL;
}

struct config_port *config_add_port(struct config *config, uint32_t port)
{
	const struct config_port *there = config_find_port(config, port);
	struct config_port *at = &config->ports[config->port_count];

	if (there)
		return &config->ports[there - config->ports];
	if (config->port_count == CONFIG_PORTS_MAX)
		return NULL;
	config->port_count++;
	*at = config_port_defaults;
	at->port = port;
	return at;
}

/* The file that was asked for, or the default one if it is there. */
static int read_file(const struct command_line *line, const char *default_file,
		     struct config *config, char *why, size_t why_size)
{
	if (!line->file && access(default_file, F_OK) && errno == ENOENT)
		return 0;
	config->file = line->file ? line->file : default_file;
	return config_read_file(config->file, config, why, why_size);
}

static bool reads_file(enum config_action action)
{
	return action == CONFIG_RUN || action == CONFIG_REMOVE || action == CONFIG_BACKUP ||
	       action == CONFIG_RESTORE;
}

/* The ports of the command line replace the file's; one that both name keeps the file's settings. */
static void apply_ports(const struct command_line *line, struct config *config)
{
	struct config file = *config;

	if (!line->port_count)
		return;
	config->ports_given = true;
	config->port_count = 0;
	for (size_t i = 0; i < line->port_count; i++) {
		const struct config_port *named = config_find_port(&file, line->ports[i]);
		struct config_port *port = config_add_port(config, line->ports[i]);

		if (named)
			*port = *named;
	}
	for (size_t i = 0; i < file.port_count; i++)
		if (!config_find_port(config, file.ports[i].port))
			config->unused_ports[config->unused_count++] = file.ports[i].port;
}

/* Put what the command line says of one setting, for every port where it is a port's. */
static int apply_setting(const struct setting *setting, bool of_port, const char *text,
			 struct config *config, char *why, size_t why_size)
{
	char allowed[128];
	int r = 0;

	if (!of_port)
		r = setting_put(setting, config, text, allowed, sizeof(allowed));
	for (size_t i = 0; of_port && !r && i < config->port_count; i++)
		r = setting_put(setting, &config->ports[i], text, allowed, sizeof(allowed));
	if (r)
		snprintf(why, why_size, "--%s %s.", setting->name, allowed);
	return r;
}

static int apply_command_line(const struct command_line *line, struct config *config, char *why,
			      size_t why_size)
{
	int r = 0;

	apply_ports(line, config);
	for (size_t i = 0; !r && setting_at(i); i++)
		if (line->values[i])
			r = apply_setting(setting_at(i), i >= sluice_setting_count, line->values[i],
					  config, why, why_size);
	return r;
}

int config_read(int argc, char **argv, const char *default_file, struct config *ret_config,
		char *why, size_t why_size)
{
	struct command_line line;
	struct config config = config_defaults;
	int r = command_line_read(argc, argv, &line, why, why_size);

	if (r)
		return r;
	config.action = line.action;
	config.drain_seconds = line.drain_seconds;
	if (line.backup)
		snprintf(config.backup, sizeof(config.backup), "%s", line.backup);
	if (is_telling(line.action)) {
		*ret_config = config;
		return 0;
	}
	if (reads_file(line.action))
		r = read_file(&line, default_file, &config, why, why_size);
	if (!r)
		r = apply_command_line(&line, &config, why, why_size);
	if (!r && config.shed.first > config.shed.cap) {
		snprintf(why, why_size,
			 "In [shed] 'first' is %u, and must not be more than 'cap', which is %u.",
			 config.shed.first, config.shed.cap);
		r = -EINVAL;
	}
	if (!r && line.action == CONFIG_RUN && !config.port_count) {
		snprintf(why, why_size,
			 "There is no port to protect: give --port N, or a [port N] section in %s.",
			 line.file ? line.file : default_file);
		r = -ENODATA;
	}
	if (!r)
		*ret_config = config;
	return r;
}

/* " --NAME VALUE" behind the text, where the setting has another value than by default. */
static void append_setting(const struct config *config, const char *name,
			   char text[CONFIG_REMOVE_SIZE])
{
	char value[CONFIG_PATH_SIZE];
	size_t used = strlen(text);

	for (size_t i = 0; i < sluice_setting_count; i++) {
		const struct setting *setting = &sluice_settings[i];

		if (strcmp(setting->name, name) || setting_equal(setting, config, &config_defaults))
			continue;
		setting_format(setting, config, value, sizeof(value));
		snprintf(text + used, CONFIG_REMOVE_SIZE - used, " --%s %s", name, value);
	}
}

void config_format_remove(const struct config *config, char ret_text[CONFIG_REMOVE_SIZE])
{
	snprintf(ret_text, CONFIG_REMOVE_SIZE, "sluiced --remove");
	append_setting(config, "pin", ret_text);
	append_setting(config, "state", ret_text);
	append_setting(config, "cgroup", ret_text);
}
