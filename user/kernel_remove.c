// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Taking the gate down. It needs no programs, so that it works for pins of any version. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel.h"
#include "netns.h"
#include "pin_folder.h"
#include "relay.h"
#include "sockets.h"

static const char *const links[] = { "link_enrol", "link_guard", "link_options" };

static int unlink_pin(int folder, const char *name)
{
	return unlinkat(folder, name, 0) && errno != ENOENT ? -errno : 0;
}

/*
 * Reset the connections of each port that is gated in this network namespace: taking a live socket
 * out of the sockhash would lose what it has not read, and leave it ungated.
 */
static int end_connections(const char *pin_folder)
{
	struct gate_key key, *previous = NULL;
	char path[PATH_MAX];
	uint64_t cookie;
	int fd, r = netns_cookie(&cookie);

	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/gates", pin_folder);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while (r >= 0 && !bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		if (key.netns_cookie == cookie)
			r = sockets_reset((uint16_t)key.port);
	}
	close(fd);
	return r < 0 ? r : 0;
}

/*
 * True where there is nothing in the folder, or something that every version pins: a folder that was
 * named by mistake is left as it is.
 */
static bool may_be_emptied(const char *pin_folder)
{
	static const char *const names[] = { "link_guard", "link_enrol", "settings", "gates",
					     "conns",	   "socks",	 "relay" };
	DIR *folder = opendir(pin_folder);
	struct dirent *entry;
	bool ours = false, empty = true;

	while (folder && (entry = readdir(folder))) {
		empty = empty && entry->d_name[0] == '.';
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			ours = ours || !strcmp(entry->d_name, names[i]);
	}
	if (folder)
		closedir(folder);
	return ours || empty;
}

/* The service's unit makes the folder, and mounts it where the daemon may not remove it. */
static bool is_kept(int error)
{
	return error == EROFS || error == EBUSY || error == EACCES;
}

/* Unpin everything that is left in the folder, and remove the folder. */
static int empty(int folder, const char *pin_folder)
{
	int copy = dup(folder);
	DIR *pins = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *pin;
	int r = 0;

	if (!pins) {
		r = -errno;
		if (copy >= 0)
			close(copy);
		return r;
	}
	while (!r && (pin = readdir(pins))) {
		if (pin->d_type != DT_DIR)
			r = unlink_pin(folder, pin->d_name);
	}
	closedir(pins);
	if (!r)
		r = relay_remove(pin_folder);
	if (!r && rmdir(pin_folder) && !is_kept(errno))
		r = -errno;
	return r;
}

/*
 * The links go first: no socket is enrolled any more, and none is kept from its bytes.
 */
int kernel_remove(const char *pin_folder)
{
	int folder, r = pin_folder_lock(pin_folder, &folder);

	if (r)
		return r == -ENOENT ? 0 : r;
	if (!may_be_emptied(pin_folder))
		r = -ENOTEMPTY;
	for (size_t i = 0; !r && i < sizeof(links) / sizeof(*links); i++)
		r = unlink_pin(folder, links[i]);
	if (!r)
		r = end_connections(pin_folder);
	if (!r)
		r = empty(folder, pin_folder);
	close(folder);
	return r;
}
