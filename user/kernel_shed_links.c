// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The network interfaces that the shed is on: a pinned link each, which outlives the daemon. The pin is
 * named by the interface's number, as a bpffs takes no dots, which names of interfaces have.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "kernel_handle.h"
#include "util.h"

/* An interface that is wanted. */
struct wanted {
	const char *name;
	unsigned int number;
	bool standing; /* the shed is on it already */
};

static int pin_path(const struct kernel *kernel, unsigned int number, char ret_path[PATH_MAX])
{
	char name[32];

	snprintf(name, sizeof(name), KERNEL_SHED_PIN "%u", number);
	return kernel_pin_path(kernel, name, ret_path, PATH_MAX);
}

/* Take a link off its interface at once, rather than when the kernel comes to it, and unpin it. */
static int take_off(const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd >= 0)
		bpf_link_detach(fd);
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

/*
 * See whether the shed is on an interface. One that was removed, and made again, has another number, and
 * a link that is left of the former is on none.
 */
static int find_standing(const struct kernel *kernel, struct wanted *wanted)
{
	struct bpf_link_info info = { 0 };
	__u32 size = sizeof(info);
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = pin_path(kernel, wanted->number, path);

	if (r)
		return r;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	wanted->standing = info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == wanted->number;
	return wanted->standing ? 0 : take_off(path);
}

/* The number of another's XDP program on an interface; 0: there is none. */
static int find_other(unsigned int number, __u32 *ret_program)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, found);
	int r = bpf_xdp_query(number, 0, &found);

	if (r)
		return r;
	*ret_program = found.prog_id	   ? found.prog_id
		       : found.drv_prog_id ? found.drv_prog_id
		       : found.skb_prog_id ? found.skb_prog_id
					   : found.hw_prog_id;
	return 0;
}

static int explain_other(const char *name, __u32 program, char *why, size_t size)
{
	return say_why(
		-EBUSY, why, size,
		"On the network interface %s there is another XDP program already, number "
		"%u ('bpftool prog show id %u' tells which), and Sluice attaches beside none, "
		"not even by libxdp's dispatcher. Take it off, or leave %s out of interfaces "
		"in [shed].",
		name, program, program, name);
}

static int check(const struct kernel *kernel, struct wanted *wanted, char *why, size_t size)
{
	__u32 program = 0;
	int r;

	wanted->number = if_nametoindex(wanted->name);
	if (!wanted->number)
		return say_why(
			-ENODEV, why, size,
			"There is no network interface %s, which interfaces in [shed] names.",
			wanted->name);
	r = find_standing(kernel, wanted);
	if (!r && !wanted->standing)
		r = find_other(wanted->number, &program);
	if (r)
		return say_why(r, why, size,
			       "What is on the network interface %s cannot be found out: %s.",
			       wanted->name, strerror(-r));
	return program ? explain_other(wanted->name, program, why, size) : 0;
}

/* Natively, if the driver can as the interface is set up now. */
static int create_link(int program, unsigned int number)
{
	LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
	int fd = bpf_link_create(program, number, BPF_XDP, NULL);

	if (fd < 0 && errno != EBUSY && errno != EEXIST)
		fd = bpf_link_create(program, number, BPF_XDP, &generic);
	return fd < 0 ? -errno : fd;
}

/* Put the shed on an interface, or this version's program where it is there. */
static int put_on(const struct kernel *kernel, const struct wanted *wanted)
{
	int program = bpf_program__fd(kernel->programs->progs.sluice_shed);
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int r = pin_path(kernel, wanted->number, path);

	if (r)
		return r;
	if (wanted->standing) {
		fd = bpf_obj_get(path);
		return fd < 0 || bpf_link_update(fd, program, NULL) ? -errno : 0;
	}
	fd = create_link(program, wanted->number);
	if (fd < 0)
		return fd;
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

static int put_on_all(const struct kernel *kernel, const struct wanted *wanted, size_t count,
		      char *why, size_t size)
{
	char path[PATH_MAX];
	size_t at = 0;
	int r = 0;

	for (; !r && at < count; at++)
		r = put_on(kernel, &wanted[at]);
	if (!r)
		return 0;
	say_why(r, why, size, "The network interface %s cannot be watched: %s.",
		wanted[at - 1].name, strerror(-r));
	while (at--)
		if (!wanted[at].standing && !pin_path(kernel, wanted[at].number, path))
			take_off(path);
	return r;
}

static bool is_wanted(const char *number, const struct wanted *wanted, size_t count)
{
	char text[16];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%u", wanted[i].number);
		if (!strcmp(number, text))
			return true;
	}
	return false;
}

/* Take it off all others. */
static int take_off_others(const char *pin_folder, const struct wanted *wanted, size_t count)
{
	static const size_t prefix = sizeof(KERNEL_SHED_PIN) - 1;
	DIR *folder = opendir(pin_folder);
	struct dirent *entry;
	char path[PATH_MAX];
	int r = folder ? 0 : -errno;

	while (!r && (entry = readdir(folder))) {
		if (strncmp(entry->d_name, KERNEL_SHED_PIN, prefix) ||
		    is_wanted(entry->d_name + prefix, wanted, count))
			continue;
		r = path_join(path, sizeof(path), pin_folder, entry->d_name);
		if (!r)
			r = take_off(path);
	}
	if (folder)
		closedir(folder);
	return r;
}

int kernel_take_off_shed(const char *pin_folder)
{
	return take_off_others(pin_folder, NULL, 0);
}

int kernel_put_shed_interfaces(struct kernel *kernel, const char names[][IF_NAMESIZE], size_t count,
			       char *why, size_t why_size)
{
	struct wanted wanted[CONFIG_INTERFACES_MAX] = { 0 };
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		wanted[i].name = names[i];
		r = check(kernel, &wanted[i], why, why_size);
	}
	if (!r)
		r = put_on_all(kernel, wanted, count, why, why_size);
	if (r)
		return r;
	r = take_off_others(kernel->pin_folder, wanted, count);
	return r ? say_why(r, why, why_size, "A network interface cannot be left alone: %s.",
			   strerror(-r))
		 : 0;
}
