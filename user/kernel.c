// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "kernel_handle.h"
#include "netns.h"
#include "pin_folder.h"
#include "util.h"

/* What a kernel call means to the one who started the daemon. */
#define NEEDS "Sluice needs root, a kernel of 6.1 or newer with BTF, and a bpffs; "

/* libbpf's own messages are for its developers; ours go through `why`. */
static int be_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_WARN && getenv("SLUICE_DEBUG_BPF"))
		return vfprintf(stderr, format, arguments);
	return 0;
}

int kernel_pin_path(const struct kernel *kernel, const char *name, char *ret_path, size_t size)
{
	int length = snprintf(ret_path, size, "%s/%s", kernel->pin_folder, name);

	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static bool is_pinned(const struct kernel *kernel, const char *name)
{
	char path[PATH_MAX];

	return !kernel_pin_path(kernel, name, path, sizeof(path)) && !access(path, F_OK);
}

/* Whether a map is a table of maps.bpf.h, and so pinned, rather than a section of the programs. */
bool kernel_is_table(const struct bpf_map *map)
{
	return !strchr(bpf_map__name(map), '.');
}

/* --- the pin folder -------------------------------------------------------------------------- */

/* Sizes of maps that exist already win: what is in them is worth more than another size. */
static void keep_pinned_size(struct kernel *kernel, struct bpf_map *map)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	char path[PATH_MAX];
	int fd;

	if (kernel_pin_path(kernel, bpf_map__name(map), path, sizeof(path)))
		return;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size))
		bpf_map__set_max_entries(map, info.max_entries);
	close(fd);
}

/* Name every map's pin, so that loading takes over what is there and pins what is not. */
static int prepare_maps(struct kernel *kernel, const struct kernel_options *options)
{
	struct sluice_bpf *programs = kernel->programs;
	struct bpf_map *map;
	char path[PATH_MAX];
	int r;

	bpf_map__set_max_entries(programs->maps.keys, options->max_keys);
	bpf_map__set_max_entries(programs->maps.usage, options->max_keys);
	bpf_map__set_max_entries(programs->maps.conns,
				 options->max_connections + CONNECTIONS_RESERVE);
	bpf_map__set_max_entries(programs->maps.socks,
				 options->max_connections + CONNECTIONS_RESERVE);
	bpf_map__set_max_entries(programs->maps.guesses, options->guess_sources);
	bpf_map__set_max_entries(programs->maps.refusals, options->guess_sources);
	bpf_map__set_max_entries(programs->maps.shed, kernel_shed_slots(options->shed_sources));
	bpf_object__for_each_map(map, programs->obj)
	{
		if (!kernel_is_table(map))
			continue;
		r = kernel_pin_path(kernel, bpf_map__name(map), path, sizeof(path));
		if (!r)
			r = bpf_map__set_pin_path(map, path);
		if (r)
			return r;
		keep_pinned_size(kernel, map);
	}
	kernel->max_connections = bpf_map__max_entries(programs->maps.conns) - CONNECTIONS_RESERVE;
	kernel->slots = bpf_map__max_entries(programs->maps.usage);
	kernel->guess_sources = bpf_map__max_entries(programs->maps.guesses);
	programs->rodata->max_connections = kernel->max_connections;
	kernel_prepare_shed(kernel, options);
	return 0;
}

/* --- programs -------------------------------------------------------------------------------- */

/* Put a program behind its dispatcher; open connections use it from their next buffer on. */
static int put_program(struct bpf_map *programs, struct bpf_program *program)
{
	__u32 zero = 0;
	int fd = bpf_program__fd(program);

	return bpf_map_update_elem(bpf_map__fd(programs), &zero, &fd, BPF_ANY) ? -errno : 0;
}

int kernel_place_programs(struct sluice_bpf *p, bool taken_over)
{
	int socks = bpf_map__fd(p->maps.socks);
	int r;

	r = put_program(p->maps.verdict_program, p->progs.sluice_verdict);
	if (!r)
		r = put_program(p->maps.message_program, p->progs.sluice_message);
	if (r)
		return r;
	/* The relay's sockets keep the programs they were made with; the next relay's get these. */
	if (bpf_prog_attach(bpf_program__fd(p->progs.sluice_inject), bpf_map__fd(p->maps.injectors),
			    BPF_SK_SKB_VERDICT, 0) ||
	    bpf_prog_attach(bpf_program__fd(p->progs.sluice_deliver),
			    bpf_map__fd(p->maps.deliverers), BPF_SK_MSG_VERDICT, 0))
		return -errno;
	if (taken_over)
		return 0;
	if (bpf_prog_attach(bpf_program__fd(p->progs.sluice_egress), socks, BPF_SK_MSG_VERDICT,
			    0) ||
	    bpf_prog_attach(bpf_program__fd(p->progs.sluice_ingress), socks, BPF_SK_SKB_VERDICT, 0))
		return -errno;
	return 0;
}

int kernel_put_programs(struct kernel *kernel, char *why, size_t why_size)
{
	int r = kernel_place_programs(kernel->programs, kernel->taken_over);

	return r ? say_why(r, why, why_size, "Cannot put the BPF programs in place: %s.",
			   strerror(-r))
		 : 0;
}

/* See that the gate that stands can be taken over. */
static int check_standing(const struct kernel *kernel, const struct kernel_options *options,
			  char *why, size_t size)
{
	char clause[PATH_MAX + 64];
	int r = kernel_check_layout(kernel, clause, sizeof(clause));

	if (!r)
		return 0;
	if (r == -EACCES && options->to_remove)
		return say_why(r, why, size, "The gate pinned in %s %s.", kernel->pin_folder,
			       clause);
	if (r == -EACCES)
		return say_why(
			r, why, size,
			"The gate pinned in %s %s. It goes on enforcing as it is. As root, run "
			"%s, which takes it down; then start this daemon again.",
			kernel->pin_folder, clause, options->remove);
	if (options->to_remove)
		return say_why(-ESTALE, why, size,
			       "The gate pinned in %s is not of this version of Sluice: %s.",
			       kernel->pin_folder, clause);
	return say_why(-ESTALE, why, size,
		       "The gate pinned in %s cannot be taken over by this version of Sluice: %s. "
		       "It goes on enforcing as it is. Go back to the version that made it; or "
		       "start afresh: %s",
		       kernel->pin_folder, clause, options->remove);
}

/* See that what is pinned can be taken over, or cleared away where nothing of it is in force. */
static int check_pins(struct kernel *kernel, const struct kernel_options *options, char *why,
		      size_t size)
{
	char clause[PATH_MAX + 64];
	int r;

	if (kernel->taken_over)
		return check_standing(kernel, options, why, size);
	/* No daemon leaves the guard alone: it is the last to be pinned, and the first to go. */
	if (is_pinned(kernel, "link_guard"))
		return say_why(
			-ESTALE, why, size,
			"Of the gate pinned in %s a part is missing, so that it lets nothing "
			"through. Take the rest down: %s",
			kernel->pin_folder, options->remove);
	r = kernel_check_leftovers(kernel, clause, sizeof(clause));
	if (r)
		return say_why(r, why, size,
			       "There are pins in %s that are not this version's: %s. If they are "
			       "another version's, run: %s; else name another folder with --pin.",
			       kernel->pin_folder, clause, options->remove);
	r = kernel_remove_leftovers(kernel);
	return r ? say_why(r, why, size, "Cannot clear the pin folder %s: %s.", kernel->pin_folder,
			   strerror(-r))
		 : 0;
}

static int load(struct kernel *kernel, const struct kernel_options *options, char *why, size_t size)
{
	int r = prepare_maps(kernel, options);

	if (!r)
		r = sluice_bpf__load(kernel->programs);
	return r ? say_why(-ENOTSUP, why, size,
			   "The kernel does not take the BPF programs: %s. " NEEDS
			   "SLUICE_DEBUG_BPF=1 shows what it says.",
			   strerror(-r))
		 : 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static int map_memory(const struct bpf_map *map, size_t size, void *ret_memory)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		return -errno;
	memcpy(ret_memory, &memory, sizeof(memory));
	return 0;
}

static size_t shed_size(const struct kernel *kernel)
{
	return bpf_map__max_entries(kernel->programs->maps.shed) * sizeof(*kernel->shed);
}

/* The tables that the daemon shares with the programs. */
static int map_tables(struct kernel *kernel)
{
	const struct sluice_bpf *p = kernel->programs;
	int r = map_memory(p->maps.settings, sizeof(struct settings), &kernel->settings);

	if (!r)
		r = map_memory(p->maps.usage, (size_t)kernel->slots * sizeof(struct key_usage),
			       &kernel->usage);
	if (!r)
		r = map_memory(p->maps.shed, shed_size(kernel), &kernel->shed);
	if (!r)
		r = map_memory(p->maps.shed_ports, PORT_WORDS * sizeof(*kernel->shed_ports),
			       &kernel->shed_ports);
	return r;
}

static int open_cgroup(struct kernel *kernel, const char *cgroup, char *why, size_t size)
{
	int r = 0;

	if (cgroup)
		kernel->cgroup = strdup(cgroup);
	else
		r = cgroup_find_root(&kernel->cgroup);
	if (r || !kernel->cgroup)
		return say_why(
			r ? r : -ENOMEM, why, size,
			"There is no cgroup-v2 mount, and the gate attaches to one. Try: mount -t "
			"cgroup2 none /sys/fs/cgroup, or name a folder with --cgroup.");
	kernel->cgroup_fd = open(kernel->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (kernel->cgroup_fd < 0 || !cgroup_is_v2(kernel->cgroup_fd))
		return say_why(-ENOTSUP, why, size,
			       "%s is not a cgroup-v2 folder. Name one with --cgroup.",
			       kernel->cgroup);
	return 0;
}

int kernel_open(const struct kernel_options *options, struct kernel **ret_kernel, char *why,
		size_t why_size)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	bool take_down = false; /* the folder is ours, and nothing in it was in force */
	int r = -ENOMEM;

	if (!kernel)
		return say_why(r, why, why_size, "Out of memory.");
	kernel->folder_fd = kernel->cgroup_fd = -1;
	kernel->processors = libbpf_num_possible_cpus();
	kernel->pin_folder = strdup(options->pin_folder);
	libbpf_set_print(be_quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	if (!kernel->pin_folder) {
		say_why(r, why, why_size, "Out of memory.");
		goto out_close;
	}
	r = netns_cookie(&kernel->netns_cookie);
	if (r) {
		say_why(r, why, why_size,
			"The kernel is too old: " NEEDS "this one has no "
			"SO_NETNS_COOKIE.");
		goto out_close;
	}
	if (!options->to_remove)
		r = open_cgroup(kernel, options->cgroup, why, why_size);
	if (!r)
		r = pin_folder_open(kernel->pin_folder, &kernel->folder_fd, why, why_size);
	if (r)
		goto out_close;
	kernel->taken_over = is_pinned(kernel, "link_guard") && is_pinned(kernel, "link_enrol");
	take_down = !kernel->taken_over;
	kernel->programs = sluice_bpf__open();
	if (!kernel->programs) {
		r = say_why(-errno, why, why_size, "Cannot open the BPF programs: %s.",
			    strerror(errno));
		goto out_close;
	}
	r = check_pins(kernel, options, why, why_size);
	if (r) {
		take_down = false;
		goto out_close;
	}
	r = load(kernel, options, why, why_size);
	if (r)
		goto out_close;
	r = map_tables(kernel);
	if (!r)
		r = kernel_open_shed(kernel);
	if (r) {
		say_why(r, why, why_size, "Cannot open the tables: %s.", strerror(-r));
		goto out_close;
	}
	*ret_kernel = kernel;
	return 0;

out_close:
	kernel_close(kernel);
	if (take_down)
		kernel_remove(options->pin_folder);
	return r;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	if (kernel->settings)
		munmap(kernel->settings, sizeof(*kernel->settings));
	if (kernel->usage)
		munmap(kernel->usage, (size_t)kernel->slots * sizeof(struct key_usage));
	if (kernel->shed)
		munmap(kernel->shed, shed_size(kernel));
	if (kernel->shed_ports)
		munmap(kernel->shed_ports, PORT_WORDS * sizeof(*kernel->shed_ports));
	ring_buffer__free(kernel->offenders);
	for (size_t i = 0; i < KERNEL_LINKS; i++)
		bpf_link__destroy(kernel->links[i]);
	sluice_bpf__destroy(kernel->programs);
	if (kernel->cgroup_fd >= 0)
		close(kernel->cgroup_fd);
	if (kernel->folder_fd >= 0)
		close(kernel->folder_fd);
	free(kernel->cgroup);
	free(kernel->pin_folder);
	free(kernel);
}

/* Take over a pinned link and let it run this version's program, or attach and pin a new one. */
static int enforce_one(struct kernel *kernel, const struct kernel_link *row,
		       struct bpf_link **ret_link)
{
	struct bpf_program *program =
		bpf_object__find_program_by_name(kernel->programs->obj, row->program);
	char path[PATH_MAX];
	struct bpf_link *link;
	int r = kernel_pin_path(kernel, row->name, path, sizeof(path));

	if (r || !program)
		return r ? r : -ENOENT;
	if (kernel->taken_over) {
		link = bpf_link__open(path);
		if (!link)
			return -errno;
		*ret_link = link;
		return bpf_link__update_program(link, program);
	}
	link = bpf_program__attach_cgroup(program, kernel->cgroup_fd);
	if (!link)
		return -errno;
	*ret_link = link;
	return bpf_link__pin(link, path);
}

int kernel_enforce(struct kernel *kernel, char *why, size_t why_size)
{
	int r = 0;

	for (size_t i = 0; !r && i < KERNEL_LINKS; i++)
		r = enforce_one(kernel, &kernel_links[i], &kernel->links[i]);
	if (r)
		return say_why(r, why, why_size, "Cannot attach to the cgroup %s: %s.",
			       kernel->cgroup, strerror(-r));
	return 0;
}
