// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Settings that are lists: of network interfaces, and of networks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "network.h"
#include "setting.h"
#include "util.h"

#define SEPARATORS " \t,"

bool setting_is_list(const struct setting *setting)
{
	return setting->kind == SETTING_INTERFACES || setting->kind == SETTING_NETWORKS;
}

/* What the kernel takes for a name, dev_valid_name(), less what would need to be quoted. */
static bool is_interface(const char *name, size_t length)
{
	return length < IF_NAMESIZE && strcmp(name, ".") && strcmp(name, "..") &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "._-@") == length;
}

static int add_interface(struct interface_list *list, const char *name, char *why, size_t size)
{
	size_t length = strlen(name);

	if (!is_interface(name, length))
		return say_why(-EINVAL, why, size,
			       "must be names of network interfaces, such as eth0, not '%s'", name);
	for (uint32_t i = 0; i < list->count; i++)
		if (!strcmp(list->names[i], name))
			return say_why(-EINVAL, why, size, "has %s twice", name);
	if (list->count == CONFIG_INTERFACES_MAX)
		return say_why(-EINVAL, why, size, "must be %d names at most",
			       CONFIG_INTERFACES_MAX);
	memcpy(list->names[list->count++], name, length + 1);
	return 0;
}

static int add_network(struct network_list *list, const char *text, char *why, size_t size)
{
	struct network network;
	int r = network_read(text, &network);

	if (r == -ERANGE)
		return say_why(r, why, size, "has '%s', where bits are set behind the prefix",
			       text);
	if (r)
		return say_why(r, why, size,
			       "must be networks, such as 192.0.2.0/24 or 2001:db8::/32, or "
			       "addresses, not '%s'",
			       text);
	if (list->count == CONFIG_EXEMPT_MAX)
		return say_why(-EINVAL, why, size, "must be %d networks at most",
			       CONFIG_EXEMPT_MAX);
	list->rows[list->count++] = network;
	return 0;
}

int setting_list_put(enum setting_kind kind, void *place, const char *text, char *why,
		     size_t why_size)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *word;
	int r = 0;

	if (!copy)
		return say_why(-EINVAL, why, why_size, "is too much: memory is short");
	while (!r && (word = strsep(&rest, SEPARATORS))) {
		if (!*word)
			continue;
		r = kind == SETTING_INTERFACES ? add_interface(place, word, why, why_size)
					       : add_network(place, word, why, why_size);
	}
	return r ? -EINVAL : 0;
}

void setting_list_format(enum setting_kind kind, const void *place, char *ret_text, size_t size)
{
	const struct interface_list *interfaces = place;
	const struct network_list *networks = place;
	bool names = kind == SETTING_INTERFACES;
	uint32_t count = names ? interfaces->count : networks->count;
	size_t used = 0;

	*ret_text = '\0';
	for (uint32_t i = 0; i < count && used < size; i++) {
		char network[NETWORK_TEXT_SIZE];

		if (!names)
			network_format(&networks->rows[i], network);
		used += snprintf(ret_text + used, size - used, "%s%s", i ? " " : "",
				 names ? interfaces->names[i] : network);
	}
}
