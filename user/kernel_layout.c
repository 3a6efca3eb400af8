// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether what is pinned is what this version pins. Asked before anything is loaded, so that a gate
 * which cannot be taken over goes on untouched: loading would make the maps that are missing, and
 * writing to a map of another layout would change what the standing programs do.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel_handle.h"
#include "relay.h"
#include "util.h"

/* Each before what it is there for: the options of sockets that are enrolled, the guard of the others. */
const struct kernel_link kernel_links[KERNEL_LINKS] = {
	{ "link_options", "sluice_options", BPF_CGROUP_GETSOCKOPT },
	/* The guard would drop what comes before sockets are enrolled. */
	{ "link_enrol", "sluice_enrol", BPF_CGROUP_SOCK_OPS },
	{ "link_guard", "sluice_guard", BPF_CGROUP_INET_INGRESS },
};

/* Say in a clause what is not as it should be. */
#define differ(clause, size, ...) say_why(-ESTALE, clause, size, __VA_ARGS__)

/* Say why a pin cannot be opened: somebody else's pins are told apart from what is no pin. */
static int refuse_pin(int error, const char *name, const char *path, char *clause, size_t size)
{
	char owner[USER_TEXT_SIZE], us[USER_TEXT_SIZE];
	struct stat status;

	if ((error != EACCES && error != EPERM) || stat(path, &status))
		return differ(clause, size, "%s is missing, or no pin", name);
	if (status.st_uid == geteuid())
		return differ(clause, size, "%s cannot be opened: %s", name, strerror(error));
	user_format(status.st_uid, owner);
	user_format(geteuid(), us);
	return say_why(-EACCES, clause, size, "belongs to %s, and this daemon runs as %s", owner,
		       us);
}

/*
 * Open a pin that must be of that kind, as /proc names it. Returns the descriptor; -EACCES where it is
 * another user's, else -ESTALE.
 */
static int open_pin(const struct kernel *kernel, const char *name, const char *kind, char *clause,
		    size_t size)
{
	char path[PATH_MAX], link[32], target[64] = "";
	int fd, r = kernel_pin_path(kernel, name, path, sizeof(path));

	fd = r ? -1 : bpf_obj_get(path);
	if (fd < 0)
		return refuse_pin(r ? -r : errno, name, path, clause, size);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, target, sizeof(target) - 1) > 0 && strstr(target, kind))
		return fd;
	close(fd);
	return differ(clause, size, "%s is something else than it should be", name);
}

/* Tables whose sizes are settings, and so may be any. */
static bool is_sized(const struct kernel *kernel, const struct bpf_map *map)
{
	const struct sluice_bpf *p = kernel->programs;

	return map == p->maps.keys || map == p->maps.usage || map == p->maps.conns ||
	       map == p->maps.socks || map == p->maps.guesses || map == p->maps.refusals ||
	       map == p->maps.shed;
}

static int check_table(const struct kernel *kernel, const struct bpf_map *map, char *clause,
		       size_t size)
{
	const char *name = bpf_map__name(map);
	_cleanup_close_ int fd = open_pin(kernel, name, "bpf-map", clause, size);
	struct bpf_map_info info = { 0 };
	__u32 length = sizeof(info);

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    info.map_flags != bpf_map__map_flags(map))
		return differ(clause, size, "the map %s is of another kind", name);
	if (!is_sized(kernel, map) && info.max_entries != bpf_map__max_entries(map))
		return differ(clause, size, "the map %s has another size", name);
	return 0;
}

/* The number of the layout comes first: it says more than what differs in it. */
static int check_abi(const struct kernel *kernel, char *clause, size_t size)
{
	_cleanup_close_ int fd = open_pin(kernel, "settings", "bpf-map", clause, size);
	struct settings settings = { 0 };
	struct bpf_map_info info = { 0 };
	__u32 length = sizeof(info), zero = 0, abi;

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != sizeof(zero) ||
	    info.value_size != sizeof(settings))
		return differ(clause, size, "the map settings is of another kind");
	if (bpf_map_lookup_elem(fd, &zero, &settings))
		return -errno;
	abi = settings.abi;
	explicit_bzero(&settings, sizeof(settings));
	if (abi == SLUICE_ABI)
		return 0;
	return differ(clause, size, "their layout is number %u, and this version's %u", abi,
		      SLUICE_ABI);
}

static int check_link(const struct kernel *kernel, const struct kernel_link *link, char *clause,
		      size_t size)
{
	_cleanup_close_ int fd = open_pin(kernel, link->name, "link", clause, size);
	struct bpf_link_info info = { 0 };
	__u32 length = sizeof(info);
	struct stat cgroup;

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	if (info.type != BPF_LINK_TYPE_CGROUP || info.cgroup.attach_type != link->type)
		return differ(clause, size, "%s is something else than it should be", link->name);
	if (kernel->cgroup_fd < 0) /* it is about to be taken down */
		return 0;
	if (fstat(kernel->cgroup_fd, &cgroup))
		return -errno;
	/* The cgroup's number is its folder's inode (cgroup-v2.rst). */
	if (info.cgroup.cgroup_id != cgroup.st_ino)
		return differ(clause, size, "it is on another cgroup than %s", kernel->cgroup);
	return 0;
}

int kernel_check_layout(const struct kernel *kernel, char *clause, size_t size)
{
	const struct bpf_map *map;
	int r = check_abi(kernel, clause, size);

	bpf_object__for_each_map(map, kernel->programs->obj)
	{
		if (!r && kernel_is_table(map))
			r = check_table(kernel, map, clause, size);
	}
	for (size_t i = 0; !r && i < KERNEL_LINKS; i++)
		r = check_link(kernel, &kernel_links[i], clause, size);
	if (r && r != -ESTALE && r != -EACCES)
		snprintf(clause, size, "%s", strerror(-r));
	return r;
}

/* --- a folder without a gate -------------------------------------------------------------------- */

static bool is_ours(const struct kernel *kernel, const struct dirent *entry)
{
	const char *name = entry->d_name;

	for (size_t i = 0; i < KERNEL_LINKS; i++)
		if (!strcmp(name, kernel_links[i].name))
			return true;
	return !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "relay") ||
	       !strncmp(name, KERNEL_SHED_PIN, strlen(KERNEL_SHED_PIN)) ||
	       bpf_object__find_map_by_name(kernel->programs->obj, name);
}

int kernel_check_leftovers(const struct kernel *kernel, char *clause, size_t size)
{
	DIR *folder = opendir(kernel->pin_folder);
	struct dirent *entry;
	int r = 0;

	if (!folder) {
		r = -errno;
		snprintf(clause, size, "%s", strerror(-r));
		return r;
	}
	while (!r && (entry = readdir(folder)))
		if (!is_ours(kernel, entry))
			r = differ(clause, size, "%.64s", entry->d_name);
	closedir(folder);
	return r;
}
