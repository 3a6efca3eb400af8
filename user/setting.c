/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of settings, and how a value gets from text into its place. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <string.h>

#include "keys.h"
#include "setting.h"

#define IN(type, member)                                                                           \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)NULL)->member)

const struct setting sluice_settings[] = {
	{ "state", SETTING_PATH, IN(config, state), .argument = "DIR",
	  .help = "folder of the store and the pepper", .fixed = true },
	{ "socket", SETTING_PATH, IN(config, socket), .argument = "PATH", .help = "control socket",
	  .fixed = true },
	{ "socket_group", SETTING_GROUP, IN(config, socket_group),
	  .help = "group of the control socket, by name or number (default: the daemon's)",
	  .fixed = true },
	{ "socket_mode", SETTING_CHOICE, IN(config, socket_private), .choices = { "0660", "0600" },
	  .help = "mode of the control socket: 0660 for its group, too, or 0600", .fixed = true },
	{ "pin", SETTING_PATH, IN(config, pin), .argument = "DIR",
	  .help = "bpffs folder of the pinned maps, programs and links", .fixed = true },
	{ "cgroup", SETTING_PATH, IN(config, cgroup), .argument = "DIR",
	  .help = "cgroup whose sockets are gated (default: the cgroup-v2 root)", .fixed = true },
	{ "key_word", SETTING_WORD, IN(config, key_word), .help = "word before '_' in a key" },
	{ "max_keys", SETTING_NUMBER, IN(config, max_keys), .minimum = 1, .maximum = 1000000,
	  .help = "keys that can be in force at once", .fixed = true },
	{ "max_connections", SETTING_NUMBER, IN(config, max_connections), .minimum = 64,
	  .maximum = 1048576, .help = "connections that can be gated at once", .fixed = true },
	{ "guess_sources", SETTING_NUMBER, IN(config, guess_sources), .minimum = 1024,
	  .maximum = 262144, .help = "sources of invalid keys that are told apart", .fixed = true },
	{ "keys_per_account", SETTING_NUMBER, IN(config, keys_per_account), .minimum = 1,
	  .maximum = 1000, .help = "keys an account may have that are not revoked" },
};
const size_t sluice_setting_count = sizeof(sluice_settings) / sizeof(sluice_settings[0]);

const struct setting shed_settings[] = {
	{ "interfaces", SETTING_INTERFACES, IN(config_shed, interfaces),
	  .help = "network interfaces where repeat offenders are dropped (default: none)" },
	{ "refusals", SETTING_NUMBER, IN(config_shed, refusals), .minimum = 10, .maximum = 1000000,
	  .help = "refusals that have a source shed" },
	{ "seconds", SETTING_NUMBER, IN(config_shed, seconds), .minimum = 1, .maximum = 3600,
	  .help = "in which these must come" },
	{ "first", SETTING_NUMBER, IN(config_shed, first), .minimum = 1, .maximum = 86400,
	  .help = "seconds that it is shed for; twice as long each time" },
	{ "cap", SETTING_NUMBER, IN(config_shed, cap), .minimum = 1, .maximum = 604800,
	  .help = "seconds that it is shed for at most" },
	{ "max_sources", SETTING_NUMBER, IN(config_shed, max_sources), .minimum = 16,
	  .maximum = 1048576, .help = "sources that can be shed at once", .fixed = true },
	{ "exempt", SETTING_NETWORKS, IN(config_shed, exempt),
	  .help = "networks that are never shed, as loopback and the host's own addresses" },
	{ "ipv4_prefix", SETTING_NUMBER, IN(config_shed, ipv4_prefix), .minimum = 8, .maximum = 32,
	  .help = "bits of an IPv4 address that make a source", .fixed = true },
	{ "ipv6_prefix", SETTING_NUMBER, IN(config_shed, ipv6_prefix), .minimum = 16,
	  .maximum = 128, .help = "bits of an IPv6 address that make a source", .fixed = true },
};
const size_t shed_setting_count = sizeof(shed_settings) / sizeof(shed_settings[0]);

const struct setting port_settings[] = {
	{ "identity", SETTING_CHOICE, IN(config_port, keep_identity), .choices = { "swap", "keep" },
	  .argument = "swap|keep", .help = "swap the Authorization line for X-Key-Id, or keep it" },
	{ "trailers", SETTING_CHOICE, IN(config_port, pass_trailers),
	  .choices = { "refuse", "pass" }, .argument = "refuse|pass",
	  .help = "refuse trailers behind a chunked body, or pass harmless ones" },
	{ "head_limit", SETTING_NUMBER, IN(config_port, head_limit), .minimum = 1024,
	  .maximum = HEAD_LIMIT_MAX, .help = "bytes a request head may have" },
};
const size_t port_setting_count = sizeof(port_settings) / sizeof(port_settings[0]);

int setting_read_number(const char *text, uint32_t minimum, uint32_t maximum, uint32_t *ret_number)
{
	uint64_t number = 0;
	const char *at;

	for (at = text; isdigit((unsigned char)*at) && number <= UINT32_MAX; at++)
		number = number * 10 + (*at - '0');
	if (at == text || *at || number < minimum || number > maximum)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int put_text(const struct setting *setting, char *target, const char *text, char *why,
		    size_t why_size)
{
	size_t length = strlen(text);

	if (setting->kind == SETTING_WORD && key_check_word(text)) {
		snprintf(why, why_size, "must be 1 to %u of a-z and 0-9, a letter first, not '%s'",
			 KEY_WORD_MAX, text);
		return -EINVAL;
	}
	if (!length || length >= setting->size) {
		snprintf(why, why_size, "must be a path of 1 to %u bytes", setting->size - 1);
		return -EINVAL;
	}
	memcpy(target, text, length + 1);
	return 0;
}

static int put_choice(const struct setting *setting, bool *target, const char *text, char *why,
		      size_t why_size)
{
	const char *const *choices = setting->choices;

	if (strcmp(text, choices[0]) && strcmp(text, choices[1])) {
		snprintf(why, why_size, "must be '%s' or '%s', not '%s'", choices[0], choices[1],
			 text);
		return -EINVAL;
	}
	*target = !strcmp(text, choices[1]);
	return 0;
}

static int put_group(uint32_t *target, const char *text, char *why, size_t why_size)
{
	const struct group *group = getgrnam(text);

	if (group)
		*target = group->gr_gid;
	else if (setting_read_number(text, 0, GROUP_NONE - 1, target)) {
		snprintf(why, why_size, "must be a group's name or number; there is no group '%s'",
			 text);
		return -EINVAL;
	}
	return 0;
}

int setting_put(const struct setting *setting, void *target, const char *text, char *why,
		size_t why_size)
{
	void *place = (char *)target + setting->offset;

	switch (setting->kind) {
	case SETTING_PATH:
	case SETTING_WORD:
		return put_text(setting, place, text, why, why_size);
	case SETTING_CHOICE:
		return put_choice(setting, place, text, why, why_size);
	case SETTING_GROUP:
		return put_group(place, text, why, why_size);
	case SETTING_INTERFACES:
	case SETTING_NETWORKS:
		return setting_list_put(setting->kind, place, text, why, why_size);
	case SETTING_NUMBER:
		break;
	}
	if (setting_read_number(text, setting->minimum, setting->maximum, place)) {
		snprintf(why, why_size,
			 "must be a number from %" PRIu32 " to %" PRIu32 ", not '%s'",
			 setting->minimum, setting->maximum, text);
		return -EINVAL;
	}
	return 0;
}

void setting_format(const struct setting *setting, const void *values, char *ret_text, size_t size)
{
	const void *value = (const char *)values + setting->offset;

	if (setting_is_list(setting))
		setting_list_format(setting->kind, value, ret_text, size);
	else if (setting->kind == SETTING_NUMBER)
		snprintf(ret_text, size, "%" PRIu32, *(const uint32_t *)value);
	else if (setting->kind == SETTING_CHOICE)
		snprintf(ret_text, size, "%s", setting->choices[*(const bool *)value]);
	else if (setting->kind == SETTING_GROUP && *(const uint32_t *)value == GROUP_NONE)
		snprintf(ret_text, size, "%s", "");
	else if (setting->kind == SETTING_GROUP)
		snprintf(ret_text, size, "%" PRIu32, *(const uint32_t *)value);
	else
		snprintf(ret_text, size, "%s", (const char *)value);
}

bool setting_equal(const struct setting *setting, const void *a, const void *b)
{
	char left[SETTING_TEXT_SIZE], right[SETTING_TEXT_SIZE];

	setting_format(setting, a, left, sizeof(left));
	setting_format(setting, b, right, sizeof(right));
	return !strcmp(left, right);
}

const struct setting *setting_at(size_t index)
{
	if (index < sluice_setting_count)
		return &sluice_settings[index];
	index -= sluice_setting_count;
	return index < port_setting_count ? &port_settings[index] : NULL;
}
