// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Taking the gate down. It needs no programs, so that it works for pins of any version. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel_handle.h"
#include "netns.h"
#include "pin_folder.h"
#include "relay.h"
#include "sockets.h"
#include "util.h"

static int unlink_pin(int folder, const char *name)
{
	return unlinkat(folder, name, 0) && errno != ENOENT ? -errno : 0;
}

/* No packet is dropped, no socket is enrolled any more, and none is kept from its bytes. */
static int unpin_links(int folder, const char *pin_folder)
{
	int r = kernel_take_off_shed(pin_folder);

	for (size_t i = KERNEL_LINKS; !r && i--;)
		r = unlink_pin(folder, kernel_links[i].name);
	return r;
}

/*
 * Open the map of that name. ret_entries takes how many elements it can have. Returns -ENOENT where there
 * is none of which a key has that size, or another negative errno.
 */
static int open_map(const char *pin_folder, const char *name, uint32_t key_size,
		    uint32_t *ret_entries)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pin_folder, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	/* Whatever it is that was pinned by that name: nothing is read that would not fit. */
	if (bpf_obj_get_info_by_fd(fd, &info, &size) || info.key_size != key_size) {
		close(fd);
		return -ENOENT;
	}
	*ret_entries = info.max_entries;
	return fd;
}

/* Reset the connections of each port that is gated in this network namespace. */
static int end_ports(const char *pin_folder)
{
	struct gate_key key, *previous = NULL;
	uint64_t cookie;
	uint32_t entries;
	int fd, r = netns_cookie(&cookie);

	if (r)
		return r;
	fd = open_map(pin_folder, "gates", sizeof(key), &entries);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	while (r >= 0 && !bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		if (key.netns_cookie == cookie)
			r = sockets_reset((uint16_t)key.port);
	}
	close(fd);
	return r < 0 ? r : 0;
}

/*
 * Reset all connections of this network namespace that are enrolled: taking a live socket out of the
 * sockhash loses what it has not read, and leaves it ungated.
 */
static int end_enrolled(const char *pin_folder)
{
	_cleanup_free_ uint64_t *cookies = NULL;
	uint64_t *previous = NULL;
	uint32_t count = 0, entries;
	_cleanup_close_ int fd = open_map(pin_folder, "conns", sizeof(*cookies), &entries);
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	cookies = calloc(entries, sizeof(*cookies));
	if (!cookies)
		return -ENOMEM;
	while (count < entries && !bpf_map_get_next_key(fd, previous, &cookies[count]))
		previous = &cookies[count++];
	r = count ? sockets_reset_some(cookies, count) : 0;
	return r < 0 ? r : 0;
}

int kernel_remove_leftovers(const struct kernel *kernel)
{
	struct bpf_map *map;
	int r = unpin_links(kernel->folder_fd, kernel->pin_folder);

	if (!r)
		r = end_enrolled(kernel->pin_folder);
	bpf_object__for_each_map(map, kernel->programs->obj)
	{
		if (!r && kernel_is_table(map))
			r = unlink_pin(kernel->folder_fd, bpf_map__name(map));
	}
	return r ? r : relay_remove(kernel->pin_folder);
}

/* Whether every version pins something of that name. */
static bool is_sluices(const char *name)
{
	static const char *const names[] = { "settings", "gates", "conns", "socks", "relay" };

	for (size_t i = 0; i < KERNEL_LINKS; i++)
		if (!strcmp(name, kernel_links[i].name))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/*
 * True where there is nothing in the folder, or something that every version pins: a folder that was
 * named by mistake is left as it is.
 */
static bool may_be_emptied(const char *pin_folder)
{
	DIR *folder = opendir(pin_folder);
	struct dirent *entry;
	bool ours = false, empty = true;

	while (folder && (entry = readdir(folder))) {
		empty = empty && entry->d_name[0] == '.';
		ours = ours || is_sluices(entry->d_name);
	}
	if (folder)
		closedir(folder);
	return ours || empty;
}

/*
 * The service's unit makes the folder, and mounts it where the daemon may not remove it. A folder in it is
 * somebody else's.
 */
static bool is_kept(int error)
{
	return error == EROFS || error == EBUSY || error == EACCES || error == ENOTEMPTY;
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

int kernel_remove(const char *pin_folder)
{
	int folder, r = pin_folder_lock(pin_folder, &folder);

	if (r)
		return r == -ENOENT ? 0 : r;
	if (!may_be_emptied(pin_folder))
		r = -EEXIST;
	if (!r)
		r = unpin_links(folder, pin_folder);
	if (!r)
		r = end_ports(pin_folder);
	/* Of ports, too, that a reload or a start took out of the gate before. */
	if (!r)
		r = end_enrolled(pin_folder);
	if (!r)
		r = empty(folder, pin_folder);
	close(folder);
	return r;
}
