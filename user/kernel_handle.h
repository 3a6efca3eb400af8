/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a struct kernel is, and what the files share that know it: user/kernel*.c. And what the probes'
 * bench does with programs of its own just as kernel.c does with the gate's.
 */
#ifndef SLUICE_KERNEL_HANDLE_H
#define SLUICE_KERNEL_HANDLE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel.h"
#include "sluice.skel.h"

/*
 * The links by which the gate is in force, in the order in which they are pinned; they are unpinned the
 * other way round. With the last one the gate stands, so that whatever is cut short leaves either a gate
 * or leftovers.
 */
struct kernel_link {
	const char *name;    /* of its pin */
	const char *program; /* that it runs */
	enum bpf_attach_type type;
};
#define KERNEL_LINKS 3
extern const struct kernel_link kernel_links[KERNEL_LINKS];

struct kernel {
	struct sluice_bpf *programs;
	char *pin_folder;
	char *cgroup;
	int folder_fd; /* holds the lock */
	int cgroup_fd;
	struct bpf_link *links[KERNEL_LINKS]; /* as in kernel_links */
	struct settings *settings;
	struct key_usage *usage;
	struct shed_source *shed;
	struct shed_table shed_layout;
	uint32_t shed_bits;  /* of slots */
	uint32_t shed_count; /* slots that are taken */
	uint64_t *shed_ports;
	uint64_t tick_ns, first_tick;
	struct ring_buffer *offenders;
	void (*tell_offender)(const struct offender *offender, void *data);
	void *tell_data;
	uint32_t slots;
	uint32_t max_connections;
	uint32_t guess_sources;
	int processors;
	uint64_t netns_cookie;
	uint64_t
		lost_after; /* cookie at which kernel_forget_lost() has stopped; 0: it goes through all */
	bool taken_over;
};

/*
 * Put the verdict, the message, the injector's and the deliverer's program in place. The dispatchers are attached once
 * for the life of the sockhash, both before the first socket is in it.
 *
 * taken_over	the sockhash has them already
 *
 * Returns 0 or a negative errno.
 */
int kernel_place_programs(struct sluice_bpf *programs, bool taken_over);

/* kernel.c: where a pin of that name is; whether a map is a table, and so pinned. */
int kernel_pin_path(const struct kernel *kernel, const char *name, char *ret_path, size_t size);
bool kernel_is_table(const struct bpf_map *map);

/*
 * kernel_remove.c: remove what a daemon left that ended while it set the gate up, or took it down. Sockets
 * may be enrolled all the same: so the links go first, then those, then the tables that they are in.
 * 0 or a negative errno.
 */
int kernel_remove_leftovers(const struct kernel *kernel);

/*
 * kernel_layout.c: whether the gate that is pinned can be taken over by this version. -ESTALE: it
 * cannot, and clause says why; -EACCES: it is another user's, and clause says whose; or what a system
 * call returned.
 */
int kernel_check_layout(const struct kernel *kernel, char *clause, size_t size);

/*
 * kernel_shed.c: slots for so many sources; what the programs are to know of them, before they are loaded,
 * and all else, once the tables are mapped: 0 or a negative errno.
 */
uint32_t kernel_shed_slots(uint32_t max_sources);
void kernel_prepare_shed(struct kernel *kernel, const struct kernel_options *options);
int kernel_open_shed(struct kernel *kernel);
int kernel_mend_shed(struct kernel *kernel);

/*
 * kernel_shed.c: whether packets to a port of this network namespace are looked at; to all that are gated,
 * and to no others.
 */
void kernel_mark_port(struct kernel *kernel, uint16_t port, bool gated);
int kernel_mark_ports(struct kernel *kernel);

/*
 * What the names of the pins of its links begin with; the number of the network interface is behind it.
 * kernel_shed_links.c: take it off all of them, and unpin.
 */
#define KERNEL_SHED_PIN "link_shed_"
int kernel_take_off_shed(const char *pin_folder);

/* Whether a folder without a gate holds pins that are not Sluice's: -ESTALE, and clause names one. */
int kernel_check_leftovers(const struct kernel *kernel, char *clause, size_t size);

#endif
