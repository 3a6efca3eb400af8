/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon was told to do: defaults, then the configuration file, then the command line. */
#ifndef SLUICE_CONFIG_H
#define SLUICE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <net/if.h>

#include "../bpf/abi.h"

#define CONFIG_FILE	 "/etc/sluice/sluice.conf"
#define CONFIG_SOCKET	 "/run/sluice/control.sock"
#define CONFIG_PIN	 "/sys/fs/bpf/sluice"
#define CONFIG_PORTS_MAX 64
#define CONFIG_PATH_SIZE 256
#define GROUP_NONE	 UINT32_MAX

/* Seconds that requests may take to end before a gate goes. */
#define CONFIG_DRAIN_DEFAULT 10
#define CONFIG_DRAIN_MAX     3600

#define CONFIG_INTERFACES_MAX 16
#define CONFIG_EXEMPT_MAX     64

enum config_action {
	CONFIG_RUN,
	CONFIG_REMOVE,
	CONFIG_BACKUP,
	CONFIG_RESTORE,
	CONFIG_RELAY, /* be the relay that the daemon starts (relay.h) */
	CONFIG_HELP,
	CONFIG_VERSION,
};

/* A port to protect. */
struct config_port {
	uint32_t port;
	uint32_t head_limit; /* bytes */
	bool keep_identity;
	bool pass_trailers;
};

struct interface_list {
	char names[CONFIG_INTERFACES_MAX][IF_NAMESIZE];
	uint32_t count;
};

struct network_list {
	struct network rows[CONFIG_EXEMPT_MAX];
	uint32_t count;
};

/* Which sources are dropped where they arrive, and for how long. */
struct config_shed {
	struct interface_list interfaces; /* none: it is off */
	uint32_t refusals;		  /* of one source, */
	uint32_t seconds;		  /* in so many, that have it shed */
	uint32_t first; /* seconds that it is shed for; the next time twice as long */
	uint32_t cap;	/* up to so many seconds */
	uint32_t max_sources;
	struct network_list exempt;
	uint32_t ipv4_prefix; /* bits of an address that make a source */
	uint32_t ipv6_prefix;
};

struct config {
	enum config_action action;
	char state[CONFIG_PATH_SIZE];
	char socket[108];      /* what sockaddr_un holds */
	uint32_t socket_group; /* gid; GROUP_NONE: the daemon's own */
	bool socket_private;   /* mode 0600, for the daemon's user and root alone */
	char pin[CONFIG_PATH_SIZE];
	char backup[CONFIG_PATH_SIZE]; /* folder of CONFIG_BACKUP and CONFIG_RESTORE */
	char cgroup[CONFIG_PATH_SIZE]; /* empty: the root of the mounted cgroup v2 */
	char key_word[KEY_WORD_MAX + 1];
	uint32_t max_keys;
	uint32_t max_connections;
	uint32_t guess_sources;
	uint32_t keys_per_account;
	uint32_t drain_seconds; /* of CONFIG_REMOVE */
	struct config_shed shed;
	struct config_port ports[CONFIG_PORTS_MAX];
	size_t port_count;
	/* Ports of the file that the command line, which names others, leaves unused. */
	uint32_t unused_ports[CONFIG_PORTS_MAX];
	size_t unused_count;
	bool ports_given; /* the command line names the ports */
	const char *file; /* that was read, the caller's text; NULL: none */
};

/* The sentence without its full stop on an unused port: the port and the file. */
#define CONFIG_UNUSED_PORT "[port %u] in %s is not used: --port on the command line names the ports"

/*
 * Read the command line and the configuration file it names, or default_file where it names none
 * and default_file exists.
 *
 * why	on failure, a sentence: what is wrong, where, and what is allowed
 *
 * Errors: -EINVAL wrong usage or contents, -ENODATA nothing but that no port is named, or what reading
 * the file returned.
 */
int config_read(int argc, char **argv, const char *default_file, struct config *ret_config,
		char *why, size_t why_size);

/* The port's settings; NULL where it is not configured. */
const struct config_port *config_find_port(const struct config *config, uint32_t port);

/* Room for config_format_remove(). */
#define CONFIG_REMOVE_SIZE (3 * (CONFIG_PATH_SIZE + 16) + 32)

/*
 * Write the command that takes this configuration's gate down, with what is needed to find it and to save
 * what it counted: the pin folder, the state and the cgroup, where they are not the default ones.
 */
void config_format_remove(const struct config *config, char ret_text[CONFIG_REMOVE_SIZE]);

/* The answer to --help. */
void config_print_help(FILE *out);

#endif
